// Reads the arrays of the document: { dtype, shape, data }, data in base64, little endian and row-major.

const ARRAYS = { uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array, float32: Float32Array, float64: Float64Array };

const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// Written out, because engines of games often have no atob.
export function bytesOfBase64(text) {
  const value = new Uint8Array(128);
  for (let i = 0; i < 64; i += 1) value[BASE64.charCodeAt(i)] = i;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  for (let i = 0, j = 0; i < text.length; i += 4, j += 3) {
    const bits =
      (value[text.charCodeAt(i)] << 18) |
      (value[text.charCodeAt(i + 1)] << 12) |
      (value[text.charCodeAt(i + 2)] << 6) |
      value[text.charCodeAt(i + 3)];
    bytes[j] = bits >> 16; // what does not fit into the array is dropped: the padding
    bytes[j + 1] = bits >> 8;
    bytes[j + 2] = bits;
  }
  return bytes;
}

// The bytes of a tensor as an array of its type. Bytes that stand in place of text were unpacked before.
export function arrayOf(tensor) {
  const bytes = typeof tensor.data === "string" ? bytesOfBase64(tensor.data) : tensor.data;
  const Type = ARRAYS[tensor.dtype];
  if (Type === undefined) throw new Error(`a tensor's dtype must be one of ${Object.keys(ARRAYS)}, but is ${tensor.dtype}`);
  const size = Type.BYTES_PER_ELEMENT;
  const expected = tensor.shape.reduce((product, length) => product * length, 1);
  if (bytes.length !== expected * size) {
    throw new Error(`a tensor of shape [${tensor.shape}] must hold ${expected * size} bytes, but holds ${bytes.length}`);
  }
  const array = new Type(expected);
  new Uint8Array(array.buffer).set(bytes);
  if (size > 1 && new Uint8Array(new Uint16Array([1]).buffer)[0] === 0) swapBytes(array.buffer, size);
  return array;
}

// The same as float64, in which everything is computed.
export function numbersOf(tensor) {
  return Float64Array.from(arrayOf(tensor));
}

function swapBytes(buffer, size) {
  const bytes = new Uint8Array(buffer);
  for (let i = 0; i < bytes.length; i += size) bytes.subarray(i, i + size).reverse();
}
