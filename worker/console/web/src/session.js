// Who asks and what the server allows; asked for anew when the server comes back or the token changes.
import { useEffect, useState } from 'preact/hooks';
import { get } from './api.js';
import { onLive } from './live.js';
import { say } from './parts/toast.jsx';

const RETRY_MS = 2000;
const UNKNOWN = { role: 'viewer', read_only: true, fault_injection: false, token_required: false, known: false };
let session = UNKNOWN;
const listeners = new Set();

async function load() {
  const { version } = session;
  try {
    session = { ...await get('/api/v1/session'), known: true };
  } catch (problem) {
    // Asked for again when the live connection is back or a token is given, and soon when the server was busy.
    session = { ...UNKNOWN, version };
    if (problem.status >= 429) setTimeout(load, RETRY_MS);
  }
  for (const listener of listeners) listener(session);
  if (version && session.known && version !== session.version) {
    say('The console is of another version now.', { action: { label: 'Reload', run: () => location.reload() } });
  }
}

export function startSession() {
  load();
  addEventListener('tokenchange', load);
  onLive((message) => message.type === 'connection' && message.data === 'open' && load());
}

export function useSession() {
  const [state, setState] = useState(session);
  useEffect(() => {
    setState(session);
    listeners.add(setState);
    return () => listeners.delete(setState);
  }, []);
  return state;
}

export function maySubmit({ role, read_only }) {
  return !read_only && role !== 'viewer';
}

export function mayOperate({ role, read_only }) {
  return !read_only && role === 'operator';
}

// Why a write is not offered; undefined when it is.
export function whyNot(session_, may) {
  if (!session_.known || may(session_)) return undefined;
  if (session_.read_only) return 'This console is read-only.';
  return `The role ${session_.role} may not do this.`;
}
