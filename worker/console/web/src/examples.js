// Events as different clients write them, and some that are none: what the editor offers.
export const EXAMPLES = [
  { name: 'Nested, amount in quotes', text: `{
  "source": "client_A",
  "payload": { "metric": "value", "amount": "1200", "timestamp": "2024/01/01" }
}` },
  { name: 'Flat, other names', text: `{
  "client": "client_B",
  "type": "sale",
  "value": 99.95,
  "time": "2024-01-15T10:00:00+02:00"
}` },
  { name: 'Thousands, epoch milliseconds', text: `{
  "Client-Id": "client_A",
  "METRIC": "sale",
  "amount": "1,200.50",
  "timestamp": 1704067200000
}` },
  { name: 'Payload as text, date as in mail', text: `{
  "client_id": "  client_C ",
  "payload": "{\\"metric_name\\": \\"refund\\", \\"value\\": \\"+12.50\\", \\"time\\": \\"Mon, 01 Jan 2024 00:00:00 GMT\\"}",
  "trace": { "id": 7 }
}` },
  { name: 'Exponent, under data', text: `{
  "source": "shop-oslo",
  "data": { "type": "purchase", "sum": "4250e-2", "created_at": "2024-02-29T23:59:59.999Z" }
}` },
  { name: 'Broken: amount in words', text: `{
  "source": "client_A",
  "payload": { "metric": "sale", "amount": "twelve", "timestamp": "2024-01-01" }
}` },
  { name: 'Broken: no such day', text: `{
  "source": "client_C",
  "payload": { "metric": "sale", "amount": 12, "timestamp": "2024-02-30" }
}` },
  { name: 'Three events, one a line', text: `{"client":"client_A","metric":"sale","amount":1,"time":"2024-01-01"}
{"client":"client_A","metric":"sale","amount":2,"time":"2024-01-01"}
{"client":"client_A","metric":"sale","amount":"3.0","time":"2024-01-01"}` },
];
