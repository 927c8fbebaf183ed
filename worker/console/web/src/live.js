// The server's stream of events (GET /api/v1/live), one connection however many tabs: the one that leads reads it
// and passes everything on; when that tab goes, the next one resumes.
// It is read with fetch rather than EventSource, which cannot send a token in a header.
import { useEffect, useState } from 'preact/hooks';
import { authorization, Problem } from './api.js';
import { eventParser } from './event_stream.js';
import { contend } from './lead.js';

const PATH = '/api/v1/live';
// Counters come each second: a stream that is silent for this long is dead.
const SILENCE_MS = 8000;
const RETRY_MS = { first: 250, most: 4000 };

const HISTORY_MS = 5 * 60 * 1000;
const TAIL_MOST = 200;

const listeners = new Set();
let lastId = '';
let connection = 'connecting';
let tabs;
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
  if (message.type === 'connection') {
    if (connection === message.data) return;
    connection = message.data;
  } else if (message.type === 'counters') remember(message.data);
  else if (message.type === 'message') tail = [message.data, ...tail].slice(0, TAIL_MOST);
  for (const listener of listeners) listener(message);
}

function setConnection(data) {
  tabs.publish({ type: 'connection', data });
}

async function readStream(signal) {
  const silent = new AbortController();
  let silence;
  const alive = () => {
    clearTimeout(silence);
    silence = setTimeout(() => silent.abort(), SILENCE_MS);
  };
  const stop = () => silent.abort();
  signal.addEventListener('abort', stop);
  try {
    alive();
    const response = await fetch(PATH, {
      headers: { Accept: 'text/event-stream', ...authorization(), ...(lastId && { 'Last-Event-ID': lastId }) },
      signal: silent.signal,
      cache: 'no-store',
    });
    if (!response.ok) throw new Problem({ title: response.statusText }, response.status);
    setConnection('open');
    const parse = eventParser((message) => signal.aborted || tabs.publish(message));
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      alive();
      parse(value);
    }
  } finally {
    clearTimeout(silence);
    signal.removeEventListener('abort', stop);
  }
}

async function lead(signal) {
  let wait = RETRY_MS.first;
  while (!signal.aborted) {
    const begun = Date.now();
    const problem = await readStream(signal).catch((thrown) => thrown);
    if (signal.aborted) return;
    setConnection('lost');
    if (problem?.status === 401) {
      tabs.stepDown(RETRY_MS.most); // another tab may have a better token
      return;
    }
    wait = Date.now() - begun > RETRY_MS.most ? RETRY_MS.first : Math.min(2 * wait, RETRY_MS.most);
    await new Promise((resolve) => {
      setTimeout(resolve, wait);
    });
  }
}

export function startLive() {
  // A tab that has only just come resumes from here when it has to lead before it heard an event.
  const state = () => ({ type: 'connection', data: connection, ...(lastId && { id: lastId }) });
  tabs = contend(new BroadcastChannel('winnow.live'), { begin: lead, deliver, state });
  // A page that is kept for the way back, or frozen, holds no connection.
  const leave = () => tabs.stepDown(RETRY_MS.most);
  addEventListener('pagehide', leave);
  document.addEventListener('freeze', leave);
  addEventListener('tokenchange', () => tabs.stepDown(0));
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
