// Server-sent events out of a response's body, as the HTML standard has them: EventSource can send neither keys nor
// bodies.

/** Yields {id, event, data}, data as JSON. */
export async function* parse(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (rest + value).replaceAll("\r\n", "\n").split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const event = read(block);
        if (event) yield event;
      }
    }
  } finally {
    reader.cancel();
  }
}

/** One event of its lines; nothing where it is a comment that keeps the connection open. */
function read(block) {
  const fields = { event: "message", id: null, data: [] };
  for (const line of block.split("\n")) {
    const [, name, text] = line.match(/^(\w*):? ?(.*)$/) ?? [];
    if (name === "data") fields.data.push(text);
    else if (name === "event" || name === "id") fields[name] = text;
  }
  return fields.data.length ? { ...fields, data: JSON.parse(fields.data.join("\n")) } : null;
}
