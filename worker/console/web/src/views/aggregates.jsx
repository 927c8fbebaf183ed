export function Aggregates() { return <p>Aggregates</p>; }
