/* Commands that mend what a check has found: whole lines for bash, with everything in them that can
 * be known, and no secret. Each call adds a line; all of them are to be run, in their order. */
#ifndef WINNOW_MEND_H
#define WINNOW_MEND_H

#include "attr.h"
#include "doctor/examination.h"

#define SUPERUSER "postgres" /* whom the server's own mends are for */

/* Of a word of a command (shell_quote()). One that is too long is cut, and the command is left out. */
#define WORD_SIZE MEND_SIZE

#define SQL_NAME_SIZE 132 /* 63 quotes, each doubled, and what stands around them */

/* The name of a role or a database (NULL: "") as SQL and pg_hba.conf take it, in quotes. Returns ret_name. Of
 * a longer one than names can be the beginning is enough for PostgreSQL. */
const char *sql_name(const char *name, char ret_name[SQL_NAME_SIZE]);

/* "kafka-topics.sh --bootstrap-server B --create …". The tools need the login of one who may, when the
 * brokers ask for one: they get it from admin.properties in the working directory. */
void mend_kafka(const struct examination *examination, struct finding *finding, const char *tool,
                const char *format, ...) PRINTF_LIKE(4, 5);

/* Sets a topic's "name=value". */
void mend_config(const struct examination *examination, struct finding *finding, const char *topic,
                 const char *setting);

/* When the fault says that an ACL is missing: gives it to our login, and returns true. `operation` is
 * "--operation Read", `resource` "--topic NAME". */
bool mend_denial(const struct examination *examination, struct finding *finding, const struct fault *fault,
                 const char *operation, const char *resource);

/* "   # and leave out its flag, …" where a setting, by its name, was given by one; else "". */
const char *mend_flag_hint(const struct examination *examination, const char *name);

/* "export WINNOW_GROUP=g-2   # why": gives a setting, by its name, another value. */
void mend_setting(const struct examination *examination, struct finding *finding, const char *name,
                  const char *value, const char *why);

/* The same for -d, with other values for some of its keywords (pairs of a keyword and a value, ended by
 * NULL; a value of NULL takes the keyword out). A password that stood in it is asked for, and not shown. */
void mend_conninfo(const struct examination *examination, struct finding *finding, const char *why,
                   const char *const *changes);

/* Asks for the password of the database's user, to be typed; the other one only where one stood in -d. */
void mend_password(const struct examination *examination, struct finding *finding);
void mend_lost_password(const struct examination *examination, struct finding *finding);

/* Shows what certificate the broker at the address, host:port, has and what is wrong with it, then asks for
 * the one of who has signed it. */
void mend_broker_certificate(const struct settings *settings, struct finding *finding, const char *address);

/* Where it is good but for other names: shows them, and asks for the brokers by one of these. */
void mend_broker_name(const struct examination *examination, struct finding *finding, const char *address);

/* The same for PostgreSQL; where it is good but for another host, by that name instead. */
void mend_database_certificate(const struct examination *examination, struct finding *finding,
                               const struct fault *fault);

/* psql -d '…' -c '…' as the user given (NULL: as the one of the settings), in the database given (NULL: the
 * same). */
void mend_psql(const struct examination *examination, struct finding *finding, const char *user,
               const char *database, const char *format, ...) PRINTF_LIKE(5, 6);

/* Sets or resets a setting of the server where it was set (pg_settings.source). */
void mend_server_setting(const struct examination *examination, struct finding *finding, const char *name,
                         const char *value, const char *source);

/* Any other command. */
void mend_run(struct finding *finding, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
