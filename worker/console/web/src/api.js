// Asks the server. What goes wrong is thrown as a Problem (RFC 9457), also when there was no answer at all.

const TOKEN_KEY = 'winnow.token';

export class Problem extends Error {
  constructor(document, status) {
    super(document.detail || document.title || `HTTP status ${status}`);
    this.title = document.title || 'The request failed';
    this.status = status;
    this.document = document;
  }
}

// The token stays in this tab alone, and travels in a header only.
export const token = {
  get: () => sessionStorage.getItem(TOKEN_KEY) ?? '',
  set(value) {
    if (value) sessionStorage.setItem(TOKEN_KEY, value);
    else sessionStorage.removeItem(TOKEN_KEY);
    dispatchEvent(new Event('tokenchange'));
  },
};

export function authorization() {
  return token.get() ? { Authorization: `Bearer ${token.get()}` } : {};
}

export function url(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== '');
  const text = new URLSearchParams(given).toString();
  return path + (text && `?${text}`);
}

async function problemOf(response) {
  const text = await response.text();
  try {
    return new Problem(JSON.parse(text), response.status);
  } catch {
    return new Problem({ title: response.statusText, detail: text.slice(0, 200) }, response.status);
  }
}

async function send(address, options) {
  try {
    return await fetch(address, { ...options, headers: { ...authorization(), ...options.headers } });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Problem({ title: 'No answer', detail: 'The console’s server does not answer. This page tries again.' }, 0);
  }
}

// Resolves to the response when its status is 2xx.
export async function ask(address, options = {}) {
  const used = token.get();
  const response = await send(address, options);
  if (response.ok) return response;
  const problem = await problemOf(response);
  // An answer to the token before this one says nothing about this one.
  if (response.status === 401 && used === token.get()) dispatchEvent(new Event('tokenneeded'));
  throw problem;
}

export async function get(path, query, options) {
  return (await ask(url(path, query), options)).json();
}

export async function post(path, body, options = {}) {
  const response = await ask(path, {
    method: 'POST',
    ...(body !== undefined && { body: JSON.stringify(body), headers: { 'Content-Type': 'application/json' } }),
    ...options,
  });
  return response.status === 204 ? null : response.json();
}
