export function Processed() { return <p>Processed</p>; }
