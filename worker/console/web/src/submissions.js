// What was sent from this tab and what became of it. Each is followed until its outcome is known, whichever view
// is shown and however often the server is restarted meanwhile.
import { useEffect, useState } from 'preact/hooks';
import { get } from './api.js';

const MOST = 20;
const POLL_MS = { first: 150, most: 2000 };
const FINAL = ['completed', 'duplicate', 'failed'];

let list = [];
const listeners = new Set();

function publish(changed) {
  list = changed;
  for (const listener of listeners) listener(list);
}

function update(key, change) {
  publish(list.map((entry) => (entry.key === key ? { ...entry, ...change } : entry)));
}

async function follow(key, stateUrl, wait) {
  if (!list.some((entry) => entry.key === key)) return;
  try {
    const state = await get(stateUrl);
    update(key, { state: state.state, reason: state.reason, detail: state.detail, duplicate_of: state.duplicate_of,
      seen: Date.now(), unreachable: false });
    if (FINAL.includes(state.state)) return;
  } catch (problem) {
    if (problem.status === 401) {
      addEventListener('tokenchange', () => follow(key, stateUrl, wait), { once: true });
      return;
    }
    // Asked again until there is an answer, unless the question itself is wrong.
    update(key, { unreachable: true });
    if (problem.status >= 400 && problem.status < 500 && problem.status !== 429) return;
  }
  setTimeout(() => follow(key, stateUrl, Math.min(wait * 1.5, POLL_MS.most)), wait);
}

// submission: as the server answered (schema Submission); text: what was sent.
export function track(submission, text) {
  const key = `${submission.partition}/${submission.offset}`;
  const entry = { ...submission, key, text, sent: Date.now(), seen: Date.now() };
  publish([entry, ...list.filter((other) => other.key !== key)].slice(0, MOST));
  if (!FINAL.includes(submission.state)) follow(key, submission.state_url, POLL_MS.first);
}

export function useSubmissions() {
  const [state, setState] = useState(list);
  useEffect(() => {
    setState(list);
    listeners.add(setState);
    return () => listeners.delete(setState);
  }, []);
  return state;
}
