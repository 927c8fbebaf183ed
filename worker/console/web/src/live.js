// The server's stream of events (GET /api/v1/live), one connection however many tabs: the tab that holds the lock
// reads it and passes everything on over a channel; when that tab goes, the next one gets the lock and resumes.
// It is read with fetch rather than EventSource, which cannot send a token in a header.
import { useEffect, useState } from 'preact/hooks';
import { authorization, Problem } from './api.js';
import { eventParser } from './event_stream.js';

const PATH = '/api/v1/live';
const LOCK = 'winnow.live';
// Counters come each second: a stream that is silent for this long is dead.
const SILENCE_MS = 8000;
const RETRY_MS = { first: 250, most: 4000 };

const HISTORY_MS = 5 * 60 * 1000;
const TAIL_MOST = 200;

const listeners = new Set();
const channel = 'BroadcastChannel' in window ? new BroadcastChannel(LOCK) : null;
let lastId = '';
let connection = 'connecting';
let leading = false;
const history = [];
let tail = [];

function remember(counters) {
  const at = Date.parse(counters.at);
  // Totals that fell belong to another database.
  if (history.length && history.at(-1).read > counters.read) history.length = 0;
  history.push({ ...counters, at });
  while (history[0].at < at - HISTORY_MS) history.shift();
}

function deliver(message) {
  if (message.id) lastId = message.id;
  if (message.type === 'connection') connection = message.data;
  else if (message.type === 'counters') remember(message.data);
  else if (message.type === 'message') tail = [message.data, ...tail].slice(0, TAIL_MOST);
  for (const listener of listeners) listener(message);
}

function publish(message) {
  deliver(message);
  channel?.postMessage(message);
}

async function readStream() {
  const stop = new AbortController();
  let silence;
  const alive = () => {
    clearTimeout(silence);
    silence = setTimeout(() => stop.abort(), SILENCE_MS);
  };
  try {
    alive();
    const response = await fetch(PATH, {
      headers: { Accept: 'text/event-stream', ...authorization(), ...(lastId && { 'Last-Event-ID': lastId }) },
      signal: stop.signal,
      cache: 'no-store',
    });
    if (!response.ok) throw new Problem({ title: response.statusText }, response.status);
    publish({ type: 'connection', data: 'open' });
    const parse = eventParser(publish);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      alive();
      parse(value);
    }
  } finally {
    clearTimeout(silence);
  }
}

async function lead() {
  leading = true;
  let wait = RETRY_MS.first;
  for (;;) {
    const begun = Date.now();
    await readStream().catch(() => {});
    publish({ type: 'connection', data: 'lost' });
    wait = Date.now() - begun > RETRY_MS.most ? RETRY_MS.first : Math.min(2 * wait, RETRY_MS.most);
    await new Promise((resolve) => {
      setTimeout(resolve, wait);
      addEventListener('tokenchange', resolve, { once: true });
    });
  }
}

export function startLive() {
  channel?.addEventListener('message', ({ data }) => {
    if (data.type !== 'hello') deliver(data);
    else if (leading) channel.postMessage({ type: 'connection', data: connection });
  });
  // Without locks, as on an address that browsers do not trust, each tab reads for itself.
  if (navigator.locks && channel) {
    navigator.locks.request(LOCK, lead);
    channel.postMessage({ type: 'hello' });
  } else {
    lead();
  }
}

// Calls back with each { type, data, id }; answers with how to stop that.
export function onLive(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function useConnection() {
  const [state, setState] = useState(connection);
  useEffect(() => {
    setState(connection);
    return onLive((message) => message.type === 'connection' && setState(message.data));
  }, []);
  return state;
}

// The latest counters, undefined before the first.
export function useCounters() {
  const [counters, setCounters] = useState(history.at(-1));
  useEffect(() => {
    setCounters(history.at(-1));
    return onLive((message) => message.type === 'counters' && setCounters(message.data));
  }, []);
  return counters;
}

// The counters of the last minutes, oldest first; the array changes in place.
export function countersSoFar() {
  return history;
}

// The latest messages, newest first; the array is replaced when it changes.
export function tailSoFar() {
  return tail;
}
