/* What every session with PostgreSQL begins with. */
#ifndef WINNOW_DATABASE_SESSION_H
#define WINNOW_DATABASE_SESSION_H

/* A format with one %lld, the statement's timeout in ms. What statements rely on is set always; what only has
 * a better default yields to options=-c... and PGOPTIONS. */
#define SQL_SESSION_FORMAT \
    "SELECT pg_catalog.set_config(w.name, w.value, false) FROM (VALUES " \
    "('TimeZone', 'UTC', true), ('DateStyle', 'ISO, YMD', true), ('search_path', '', true), " \
    "('standard_conforming_strings', 'on', true), ('statement_timeout', '%lld', true), " \
    "('default_transaction_isolation', 'read committed', true), " \
    "('lock_timeout', '10s', false), ('idle_in_transaction_session_timeout', '10s', false), " \
    "('plan_cache_mode', 'force_generic_plan', false)) AS w (name, value, forced) " \
    "WHERE w.forced OR NOT EXISTS (SELECT FROM pg_catalog.pg_settings AS s " \
    "WHERE s.name OPERATOR(pg_catalog.=) w.name AND s.source OPERATOR(pg_catalog.=) 'client')"

#endif
