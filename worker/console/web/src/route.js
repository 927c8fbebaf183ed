// Where the person is: #/VIEW?NAME=VALUE&…  The address holds all of a view's filters, so that it can be sent on.
import { useEffect, useState } from 'preact/hooks';

function parse() {
  const [path, query = ''] = location.hash.replace(/^#\/?/, '').split('?');
  return { view: path, params: Object.fromEntries(new URLSearchParams(query)) };
}

// An address within the page. Empty parameters are left out.
export function href(view, params = {}) {
  const given = Object.entries(params).filter(([, value]) => value !== undefined && value !== null && value !== '');
  const query = new URLSearchParams(given).toString();
  return `#/${view}${query && `?${query}`}`;
}

export function go(view, params, { replace = false } = {}) {
  const target = href(view, params);
  if (replace) {
    history.replaceState(null, '', target);
    dispatchEvent(new HashChangeEvent('hashchange'));
  } else {
    location.hash = target;
  }
}

export function useRoute() {
  const [route, setRoute] = useState(parse);
  useEffect(() => {
    const changed = () => setRoute(parse());
    addEventListener('hashchange', changed);
    return () => removeEventListener('hashchange', changed);
  }, []);
  return route;
}
