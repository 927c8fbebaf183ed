/* HTTP/1.1 on one address: connections, their limits, and the way from a request to its route. The only file
 * with libmicrohttpd.
 *
 * One thread has all connections and waits for nothing. Limits: 16 KiB of request line and headers, bodies as
 * the route says, CONNECTIONS_MAX connections, 30 s until a request is complete, 30 s of silence. */
#ifndef WINNOW_SERVER_H
#define WINNOW_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "attr.h"
#include "console/console.h"
#include "listen_address.h"
#include "status.h"

struct server;

/* STATUS_STOP when the address cannot be had. The console is borrowed. */
MUST_CHECK bool server_open(struct console *console, const struct listen_address *address,
                            struct server **ret_server, struct fault *ret_fault);
uint16_t server_port(const struct server *server);

/* Cuts connections whose request takes too long; call it once a second. */
void server_tidy(struct server *server);

/* No more connections are taken, and requests that still come over those that are there are refused: no
 * handler is called when this has returned. Free what answers requests between server_quiesce() and
 * server_close(). */
void server_quiesce(struct server *server);
void server_close(struct server *server); /* takes NULL */

#endif
