export function Failed() { return <p>Failed</p>; }
