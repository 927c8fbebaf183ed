// The text of the editor as messages, and as commands for a shell.

function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

// Several lines of which each is an event alone are sent as NDJSON; everything else is one message, whatever it is.
export function eventLines(text) {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return lines.length > 1 && !isJson(text) && lines.every(isJson) ? lines : [text];
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

export function asCurl(text, { simulate, session, place }) {
  const type = eventLines(text).length > 1 ? 'application/x-ndjson' : 'application/json';
  return [`curl -sS '${place}/api/v1/events?wait=5s' -H 'Content-Type: ${type}'`,
    session.token_required && `-H "Authorization: Bearer $WINNOW_TOKEN"`,
    simulate && `-H 'Winnow-Simulate-Failure: database'`,
    `--data-raw ${quoted(text)}`].filter(Boolean).join(' \\\n  ');
}

// kcat takes a line for a message; line ends within one event are only space.
export function asKcat(text, { session }) {
  const lines = eventLines(text).map((line) => line.replaceAll('\n', ' '));
  return `printf '%s\\n' ${lines.map(quoted).join(' ')} | \\\n  kcat -P -b ${quoted(session.brokers)} -t ${quoted(session.topic)}`;
}
