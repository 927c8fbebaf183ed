/* What a client's configuration may change about normalization. Today everyone has the defaults. */
#ifndef WINNOW_CLIENT_RULES_H
#define WINNOW_CLIENT_RULES_H

#include <stdint.h>

enum date_order {
    DATE_ORDER_NONE, /* 01/02/2024 is ambiguous and rejected (D-6) */
    DATE_ORDER_DMY,
    DATE_ORDER_MDY,
};

/* H-2: to what the timestamp is cut before it is hashed. */
enum granularity {
    GRANULARITY_DAY,
    GRANULARITY_HOUR,
    GRANULARITY_MINUTE,
    GRANULARITY_SECOND,
    GRANULARITY_EXACT,
};

/* All zero is the default: UTC, no order, by day. */
struct client_rules {
    int32_t zone_offset_s; /* D-5: east of UTC, for timestamps that name no zone */
    enum date_order date_order;
    enum granularity granularity;
};

#endif
