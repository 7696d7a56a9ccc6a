// Reads a document that packing.py packed: 13 bits in two characters, compressed bytes, the JSON, and tensors whose bytes
// stand by their places in a number.

const ALPHABET = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i)).filter((c) => !"<&\\".includes(c)).join("");

function bytesOfCharacters(text) {
  const value = new Uint8Array(128);
  for (let i = 0; i < ALPHABET.length; i += 1) value[ALPHABET.charCodeAt(i)] = i;
  const bytes = new Uint8Array(Math.floor((text.length / 2) * 13 / 8));
  let bits = 0;
  let held = 0;
  let place = 0;
  for (let i = 0; i + 1 < text.length; i += 2) {
    bits = (bits << 13) | (value[text.charCodeAt(i)] * ALPHABET.length + value[text.charCodeAt(i + 1)]);
    for (held += 13; held >= 8; held -= 8) bytes[place++] = bits >> (held - 8);
    bits &= (1 << held) - 1;
  }
  return bytes;
}

async function inflated(bytes) {
  const stream = new DecompressionStream("deflate");
  const writer = stream.writable.getWriter();
  writer.write(bytes).catch(() => {});
  writer.close().catch(() => {});
  const chunks = [];
  let length = 0;
  const reader = stream.readable.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    length += value.length;
  }
  const whole = new Uint8Array(length);
  chunks.reduce((place, chunk) => (whole.set(chunk, place), place + chunk.length), 0);
  return whole;
}

const SIZES = { uint8: 1, uint16: 2, uint32: 4, float32: 4, float64: 8 };

// What fills the last characters up may be a byte more than the numBytes that were packed.
export async function unpacked(text, numBytes) {
  const bytes = await inflated(bytesOfCharacters(text).subarray(0, numBytes));
  const start = 4 + new DataView(bytes.buffer).getUint32(0, true);
  const tensors = bytes.subarray(start);
  const placed = (part) => {
    if (part === null || typeof part !== "object") return part;
    if (Array.isArray(part)) return typeof part[0] === "object" ? part.map(placed) : part;
    if (!Object.hasOwn(part, "dtype")) {
      return Object.fromEntries(Object.entries(part).map(([name, value]) => [name, placed(value)]));
    }
    const size = SIZES[part.dtype];
    const count = part.shape.reduce((product, length) => product * length, 1);
    const data = new Uint8Array(count * size);
    for (let byte = 0; byte < size; byte += 1) {
      const plane = tensors.subarray(part.data + byte * count, part.data + (byte + 1) * count);
      for (let i = 0; i < count; i += 1) data[i * size + byte] = plane[i];
    }
    return { ...part, data };
  };
  return placed(JSON.parse(new TextDecoder().decode(bytes.subarray(4, start))));
}
