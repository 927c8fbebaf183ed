// Of all tabs of a browser one leads, for as long as it is heard: a lease, renewed over a channel. Unlike locks
// and workers of the browser a channel is there on any address, trusted or not.
//
// A tab that hears no leader asks; when nobody objects it leads. Of two that ask or lead the lesser id goes first.
// A leader that goes says so; one that crashed is missed. Each message says `from` whom it is.

const ANSWER_MS = 400; // also a tab in the background, on a busy machine, has so long to object
const RENEW_MS = 1000;
const LEASE_MS = 4 * RENEW_MS;

function someId() {
  return [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(16).padStart(8, '0')).join('');
}

// begin(signal): this tab leads until the signal is aborted. deliver(message): what the leader publishes, be it this
// tab or another. state(): the message that renews the lease.
export function contend(channel, { begin, deliver, state }, { id = someId(), timers = globalThis } = {}) {
  let timer;
  let renewing;
  let asking = false;
  let barred = false;
  let leading = null;

  const say = (message) => channel.postMessage({ ...message, from: id });
  const then = (run, milliseconds) => {
    timers.clearTimeout(timer);
    timer = timers.setTimeout(run, milliseconds);
  };

  function follow(milliseconds = LEASE_MS) {
    leading?.abort();
    leading = null;
    asking = false;
    timers.clearInterval(renewing);
    then(ask, milliseconds);
  }

  function ask() {
    barred = false;
    asking = true;
    say({ type: 'ask' });
    then(lead, ANSWER_MS);
  }

  function lead() {
    asking = false;
    leading = new AbortController();
    renewing = timers.setInterval(() => say(state()), RENEW_MS);
    say(state());
    begin(leading.signal);
  }

  channel.addEventListener('message', ({ data: { from, ...message } }) => {
    const first = id < from;
    if (message.type === 'bye') {
      if (!leading && !asking && !barred) ask();
    } else if (leading && (message.type === 'ask' || first)) {
      say(state());
    } else if (message.type !== 'ask') {
      follow();
      deliver(message);
    } else if (asking && first) {
      say({ type: 'ask' });
    } else if (asking) {
      follow();
    }
  });

  ask();
  return {
    publish(message) {
      deliver(message);
      say(message);
    },
    // Lets another lead, and asks after that time at the earliest, also when that one goes.
    stepDown(milliseconds) {
      const led = leading !== null;
      follow(milliseconds);
      barred = true;
      if (led) say({ type: 'bye' });
    },
  };
}
