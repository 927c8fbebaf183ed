/* What the text of a setting must look like beyond its type. Each returns what was expected, as static text,
 * when the text is not acceptable, and NULL when it is. */
#ifndef WINNOW_SETTINGS_CHECK_H
#define WINNOW_SETTINGS_CHECK_H

const char *check_brokers(const char *text);
const char *check_topic(const char *text); /* Kafka's rule for names of topics */
const char *check_group(const char *text);
const char *check_database(const char *text);
const char *check_listen(const char *text);
const char *check_metrics_listen(const char *text); /* the same, or "off" */
const char *check_path(const char *text);
const char *check_socket(const char *text);  /* as long as the path of a Unix socket may be, unix(7); or "" */
const char *check_origins(const char *text); /* of web sites, as browsers send them */

#endif
