// A message as its bytes came: text where it is text, else hexadecimal.
const SHOWN_BYTES = 4096;

function hex(base64) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)).subarray(0, SHOWN_BYTES);
  const lines = [];
  for (let at = 0; at < bytes.length; at += 16) {
    const row = [...bytes.subarray(at, at + 16)];
    const codes = row.map((byte) => byte.toString(16).padStart(2, '0')).join(' ').padEnd(47);
    const text = row.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : '·')).join('');
    lines.push(`${at.toString(16).padStart(4, '0')}  ${codes}  ${text}`);
  }
  return lines.join('\n');
}

// Text that holds control characters shows more as bytes.
function isReadable(text) {
  return typeof text === 'string' && !/[\0-\x08\x0b\x0c\x0e-\x1f]/.test(text);
}

export function Raw({ message, label = 'Raw message' }) {
  if (isReadable(message.value_text)) {
    return <pre tabIndex={0} aria-label={label}>{message.value_text || ' '}</pre>;
  }
  if (!message.value_base64) return <p class="muted">A tombstone: the message has no value.</p>;
  return <pre class="hex" tabIndex={0} aria-label={`${label}, in hexadecimal`}>{hex(message.value_base64)}</pre>;
}

export function Headers({ headers }) {
  if (headers.length === 0) return null;
  return (
    <details>
      <summary>Headers ({headers.length})</summary>
      <dl class="pairs">
        {headers.map(({ name, value_text: text }, index) => [
          <dt key={index}>{name}</dt>, <dd key={`${index}.`}><code>{text ?? '(not text)'}</code></dd>])}
      </dl>
    </details>
  );
}
