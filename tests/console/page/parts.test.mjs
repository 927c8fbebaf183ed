// The parts of the page that compute: node --test tests/console/page/parts.test.mjs
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { eventParser } from '../../../worker/console/web/src/event_stream.js';
import { asCurl, asKcat, eventLines } from '../../../worker/console/web/src/event_text.js';
import { ago, group, instant, percent, seconds, timeTicks } from '../../../worker/console/web/src/format.js';
import { inTurns } from '../../../worker/console/web/src/in_turns.js';
import { contend } from '../../../worker/console/web/src/lead.js';
import { linesOf, rateNow, ratesOf } from '../../../worker/console/web/src/series.js';

const SESSION = { brokers: 'kafka:9092', topic: 'events', token_required: true };

test('amounts stay text, however long', () => {
  assert.equal(group('9007199254740993.30'), '9,007,199,254,740,993.30');
  assert.equal(group('-1234.5678'), '-1,234.5678');
  assert.equal(group('0.000001'), '0.000001');
  assert.equal(group('123'), '123');
  assert.equal(group('1e9'), '1e9', 'what is no plain decimal is left alone');
});

test('instants are written without what says nothing', () => {
  assert.equal(instant('2024-01-15T10:00:00Z'), '2024-01-15 10:00:00');
  assert.equal(instant('2024-01-15T10:00:00.120000Z'), '2024-01-15 10:00:00.12');
  assert.equal(instant('2024-01-15T10:00:00.000000Z'), '2024-01-15 10:00:00');
  assert.equal(instant(null), '–');
});

test('times that passed', () => {
  assert.equal(seconds(0.25), '250 ms');
  assert.equal(seconds(61), '1 min 1 s');
  assert.equal(seconds(null), '–');
  assert.equal(ago('2024-01-01T00:00:00Z', Date.parse('2024-01-01T02:00:00Z')), '2 h 0 min ago');
  assert.equal(ago('2024-01-01T00:00:01Z', Date.parse('2024-01-01T00:00:00Z')), 'now', 'clocks may differ');
});

test('shares', () => {
  assert.equal(percent(1, 4), '25.0 %');
  assert.equal(percent(1, 100000), '<0.1 %');
  assert.equal(percent(0, 5), '0 %');
  assert.equal(percent(0, 0), '–');
});

test('a stream of events is read the same however it is cut', () => {
  const stream = 'id: 7\nevent: counters\ndata: {"read":1}\n\n: alive\n\nevent: message\r\nid: 8\r\ndata: {"a":\r\ndata: "é"}\r\n\r\n';
  const whole = [];
  eventParser((event) => whole.push(event))(stream);
  assert.deepEqual(whole, [{ type: 'counters', data: { read: 1 }, id: '7' }, { type: 'message', data: { a: 'é' }, id: '8' }]);
  for (let size = 1; size < stream.length; size += 1) {
    const cut = [];
    const parse = eventParser((event) => cut.push(event));
    for (let at = 0; at < stream.length; at += size) parse(stream.slice(at, at + size));
    assert.deepEqual(cut, whole, `in pieces of ${size}`);
  }
});

test('lines are several events only when each is one', () => {
  assert.deepEqual(eventLines('{"a":1}\n{"a":2}\n'), ['{"a":1}', '{"a":2}']);
  assert.deepEqual(eventLines('{\n"a":1\n}'), ['{\n"a":1\n}']);
  assert.deepEqual(eventLines('{"a":1}\n{"a":'), ['{"a":1}\n{"a":'], 'something broken goes as it is');
});

// A shell in which the program of that name prints its arguments and its input.
function inShell(command, program) {
  return execFileSync('bash', ['-c', `${program}() { printf '%s\\n' "$@"; [[ $1 != -P ]] || cat; }; ${command}`], { encoding: 'utf8' });
}

test('commands survive the shell', () => {
  const text = `{"client": "O'Neill $HOME \`id\`",\n "amount": 1}`;
  const curl = inShell(asCurl(text, { session: SESSION, simulate: true, place: 'http://127.0.0.1:8077' }), 'curl');
  assert.ok(curl.endsWith(`--data-raw\n${text}\n`));
  assert.match(curl, /Winnow-Simulate-Failure: database/);
  const kcat = inShell(asKcat(text, { session: SESSION }), 'kcat');
  assert.equal(kcat, `-P\n-b\nkafka:9092\n-t\nevents\n${text.replace('\n', ' ')}\n`, 'one event, one line');
});

test('many lines of a chart become the largest and the others', () => {
  const rows = [];
  for (let client = 0; client < 9; client += 1) {
    for (const day of ['2024-01-02', '2024-01-01']) rows.push({ client_id: `c${client}`, day, event_count: client + 1 });
  }
  const { times, series, values } = linesOf(rows, { column: 'client_id', unit: 'day', measure: 'event_count' });
  assert.deepEqual(times, [Date.parse('2024-01-01') / 1000, Date.parse('2024-01-02') / 1000]);
  assert.deepEqual(series, ['c8', 'c7', 'c6', 'c5', 'c4', 'c3', 'others']);
  assert.deepEqual(values.map(([first]) => first), [9, 8, 7, 6, 5, 4, 6]);
});

test('no line of a chart crosses days without events', () => {
  const rows = ['2024-01-01', '2024-01-02', '2024-01-04', '2024-01-09'].map((day) => ({ day, event_count: 5 }));
  const { times, values } = linesOf(rows, { unit: 'day', measure: 'event_count' });
  assert.deepEqual(times.map((time) => new Date(time * 1000).toISOString().slice(8, 10)), ['01', '02', '03', '04', '05', '08', '09']);
  assert.deepEqual(values, [[5, 5, 0, 5, 0, 0, 5]]);
});

test('a time axis tells the year', () => {
  const at = (...texts) => texts.map((text) => Date.parse(text) / 1000);
  assert.deepEqual(timeTicks(at('2023-12-30', '2023-12-31', '2024-01-01', '2024-01-02'), 86400),
    ['12-30\n2023', '12-31', '01-01\n2024', '01-02']);
  assert.deepEqual(timeTicks(at('2024-01-01T18:00Z', '2024-01-02T00:00Z', '2024-01-02T06:00Z'), 21600),
    ['18:00\n2024-01-01', '00:00\n2024-01-02', '06:00']);
  assert.deepEqual(timeTicks(at('2024-01-01T18:00:05Z'), 5), ['18:00:05\n2024-01-01']);
});

test('rates are differences of totals', () => {
  const history = [0, 1, 2, 3, 4].map((second) => ({ at: 1000 * second, read: 100 * second * second }));
  assert.deepEqual(ratesOf(history, 'read'), [null, 100, 300, 500, 700]);
  assert.equal(rateNow(history, 'read'), (1600 - 100) / 3);
  assert.equal(rateNow(history.slice(0, 1), 'read'), undefined);
});

// Tabs on one channel, and a clock that is moved by hand.
function world() {
  const due = [];
  const tabs = [];
  let now = 0;
  const at = (run, delay, every) => {
    const entry = { run, time: now + delay, every };
    due.push(entry);
    return entry;
  };
  const drop = (entry) => due.includes(entry) && due.splice(due.indexOf(entry), 1);
  const timers = { setTimeout: at, setInterval: (run, delay) => at(run, delay, delay), clearTimeout: drop, clearInterval: drop };
  const pass = (milliseconds) => {
    for (const end = now + milliseconds; ;) {
      const next = due.filter(({ time }) => time <= end).sort((one, other) => one.time - other.time)[0];
      now = next?.time ?? end;
      if (!next) return;
      if (next.every) next.time += next.every;
      else drop(next);
      next.run();
    }
  };
  const open = (id) => {
    const tab = { id, leads: false, heard: [] };
    const listeners = [];
    const channel = {
      addEventListener: (_, listener) => listeners.push(listener),
      postMessage: (data) => tabs.filter((other) => other !== tab && !other.crashed)
        .forEach((other) => at(() => other.crashed || other.listeners.forEach((listener) => listener({ data })), 1)),
    };
    Object.assign(tab, { listeners });
    tabs.push(tab);
    const own = { ...timers, setTimeout: (run, delay) => at(() => tab.crashed || run(), delay),
      setInterval: (run, delay) => at(() => tab.crashed || run(), delay, delay) };
    Object.assign(tab, contend(channel, {
      begin: (signal) => {
        tab.leads = true;
        signal.addEventListener('abort', () => { tab.leads = false; });
      },
      deliver: (message) => tab.heard.push(message.type),
      state: () => ({ type: 'state' }),
    }, { id, timers: own }));
    return tab;
  };
  const leaders = () => tabs.filter(({ leads, crashed }) => leads && !crashed).map(({ id }) => id);
  return { open, pass, leaders };
}

test('of tabs that open at once the first by id leads', () => {
  const { open, pass, leaders } = world();
  ['c', 'a', 'b'].forEach(open);
  pass(500);
  assert.deepEqual(leaders(), ['a']);
  open('A');
  pass(60000);
  assert.deepEqual(leaders(), ['a'], 'who leads goes on, whoever comes');
});

test('what the leader publishes comes to all', () => {
  const { open, pass } = world();
  const [one, two] = ['a', 'b'].map(open);
  pass(500);
  one.publish({ type: 'counters' });
  pass(5);
  assert.deepEqual([one, two].map(({ heard }) => heard.filter((type) => type === 'counters').length), [1, 1]);
});

test('a leader that goes is followed at once, one that crashed soon', () => {
  const { open, pass, leaders } = world();
  const [one, two] = ['a', 'b', 'c'].map(open);
  pass(1000);
  one.stepDown(60000);
  pass(500);
  assert.deepEqual(leaders(), ['b']);
  two.crashed = true;
  pass(5000);
  assert.deepEqual(leaders().length, 1);
});

test('two that lead agree', () => {
  const { open, pass, leaders } = world();
  const two = open('b');
  pass(1000);
  two.crashed = true;
  open('a');
  pass(1000);
  two.crashed = false;
  assert.deepEqual(leaders(), ['b', 'a']);
  pass(1500);
  assert.deepEqual(leaders(), ['a']);
});

test('tabs that may not read leave it to one that may', () => {
  const { open, pass, leaders } = world();
  const [one, two] = ['a', 'b', 'c'].map(open);
  pass(500);
  one.stepDown(4000);
  pass(500);
  two.stepDown(4000);
  pass(500);
  assert.deepEqual(leaders(), ['c']);
  pass(60000);
  assert.deepEqual(leaders(), ['c'], 'and do not ask again while it is heard');
});

const turns = async (wanted, answers, asked = []) => {
  const seen = [];
  const ask = async (limit) => {
    asked.push(limit);
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    return answer;
  };
  let problem;
  try {
    for await (const did of inTurns(wanted, 'discarded', ask)) seen.push(structuredClone(did));
  } catch (thrown) {
    problem = thrown.message;
  }
  return { seen, asked, problem };
};
const discarded = (count, first) => ({ discarded: count, first_action_id: first, last_action_id: first + count - 1 });

test('what was done to a group before a request failed is known', async () => {
  const { seen, asked, problem } = await turns(2500, [discarded(1000, 1), discarded(1000, 2001), new Error('no answer')]);
  assert.deepEqual(asked, [1000, 1000, 500]);
  assert.equal(problem, 'no answer');
  assert.deepEqual(seen.at(-1), { sum: 2000,
    ranges: [{ first_action_id: 1, last_action_id: 1000 }, { first_action_id: 2001, last_action_id: 3000 }] });
});

test('a group that others have emptied ends, and so does one of which Kafka takes no more', async () => {
  assert.deepEqual((await turns(5, [discarded(2, 1), { discarded: 0 }])).seen.at(-1).sum, 2);
  const refused = await turns(5, [{ discarded: 2, failed: 1 }, discarded(2, 1)]);
  assert.deepEqual([refused.seen.at(-1).sum, refused.problem], [2, '1 message not taken; the others were sent.']);
});
