/* librdkafka that aborts as it is asked about a topic's configuration: preloaded into winnow. */
#include <stdlib.h>

void rd_kafka_DescribeConfigs(void);

void rd_kafka_DescribeConfigs(void)
{
    abort();
}
