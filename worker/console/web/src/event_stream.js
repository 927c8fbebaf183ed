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
