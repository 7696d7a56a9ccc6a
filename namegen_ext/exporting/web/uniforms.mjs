// Uniform numbers for what is chosen once for each name: Philox4x64-10, as numpy has it, in blocks of 1,024.
// (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.)

const MASK = 0xffffffffffffffffn;
const PER_BLOCK = 1024;

// The four words of 64 bits of a counter, for the key (seed, 0).
export function philox64(seed, counter) {
  let [c0, c1, c2, c3] = counter;
  let k0 = seed;
  let k1 = 0n;
  for (let round = 0; round < 10; round += 1) {
    const x = c0 * 0xd2e7470ee14c6c93n;
    const y = c2 * 0xca5a826395121157n;
    [c0, c1, c2, c3] = [(y >> 64n) ^ c1 ^ k0, y & MASK, (x >> 64n) ^ c3 ^ k1, x & MASK];
    k0 = (k0 + 0x9e3779b97f4a7c15n) & MASK;
    k1 = (k1 + 0xbb67ae8584caa73bn) & MASK;
  }
  return [c0, c1, c2, c3];
}

// The 1,024 numbers in [0, 1) of a block of a seed's stream. The counter's lowest word begins at 1.
export function blockUniforms(seed, block) {
  const numbers = [];
  for (let count = 1; numbers.length < PER_BLOCK; count += 1) {
    for (const word of philox64(seed, [BigInt(count), BigInt(block), 0n, 1n])) numbers.push(Number(word >> 11n) / 2 ** 53);
  }
  return numbers;
}
