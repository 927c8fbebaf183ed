import { useState } from 'preact/hooks';
import { token } from '../api.js';
import { useEvent } from '../hooks.js';
import { Dialog } from './dialog.jsx';

// Asks for a token when the server wants one. It is kept for this tab alone and forgotten with it.
export function TokenDialog() {
  const [detail, setDetail] = useState(null);
  useEvent('tokenneeded', (event) => setDetail(event.detail));
  if (detail === null) return null;
  const submit = (event) => {
    event.preventDefault();
    token.set(event.currentTarget.elements.token.value.trim());
    setDetail(null);
  };
  return (
    <Dialog title="Token" onClose={() => setDetail(null)}>
      <form onSubmit={submit}>
        <p>{detail}</p>
        <label>Token <input name="token" type="password" autocomplete="off" required /></label>
        <p class="buttons"><button type="submit" class="primary">Use it in this tab</button></p>
      </form>
    </Dialog>
  );
}
