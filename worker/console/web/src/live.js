// The server's stream of events (GET /api/v1/live), one connection however many tabs: the tab that holds the lock
// reads it and passes everything on over a channel; when that tab goes, the next one gets the lock and resumes.
// It is read with fetch rather than EventSource, which cannot send a token in a header.
import { useEffect, useState } from 'preact/hooks';
import { authorization, Problem } from './api.js';

const PATH = '/api/v1/live';
const LOCK = 'winnow.live';
// Counters come each second: a stream that is silent for this long is dead.
const SILENCE_MS = 8000;
const RETRY_MS = { first: 250, most: 4000 };

const listeners = new Set();
const channel = 'BroadcastChannel' in window ? new BroadcastChannel(LOCK) : null;
let lastId = '';
let connection = 'connecting';
let leading = false;

function deliver(message) {
  if (message.id) lastId = message.id;
  if (message.type === 'connection') connection = message.data;
  for (const listener of listeners) listener(message);
}

function publish(message) {
  deliver(message);
  channel?.postMessage(message);
}

// Splits a stream of server-sent events into { type, data, id }.
export function eventParser(emit) {
  let buffer = '';
  return (chunk) => {
    buffer += chunk;
    const blocks = buffer.split(/\r?\n\r?\n/);
    buffer = blocks.pop();
    for (const block of blocks) {
      const event = { type: 'message', data: '', id: '' };
      for (const line of block.split(/\r?\n/)) {
        const [, field, value] = /^([a-z]*): ?(.*)$/.exec(line) ?? [];
        if (field === 'event') event.type = value;
        else if (field === 'id') event.id = value;
        else if (field === 'data') event.data += (event.data && '\n') + value;
      }
      if (event.data) emit({ ...event, data: JSON.parse(event.data) });
    }
  };
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

// Calls back with each { type, data, id } while the component is there.
export function useLiveEvents(handler) {
  useEffect(() => {
    listeners.add(handler);
    return () => listeners.delete(handler);
  }, [handler]);
}

export function useConnection() {
  const [state, setState] = useState(connection);
  useEffect(() => {
    const listener = (message) => message.type === 'connection' && setState(message.data);
    listeners.add(listener);
    setState(connection);
    return () => listeners.delete(listener);
  }, []);
  return state;
}
