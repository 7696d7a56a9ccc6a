// Products of a matrix and a vector, which take almost all the time of networks and GPTs.

// Adds weight times input (depth) to sums (out). Row o of the weight begins at
// first + o * stride. Four sums at a time do not wait for each other.
// Measured: 28,000 names/s one at a time, 45,000 four at a time (WaveNet of 76,579 parameters).
export function addProduct(weight, first, stride, input, sums) {
  const depth = input.length;
  const out = sums.length;
  let begin = first;
  let o = 0;
  for (; o + 4 <= out; o += 4, begin += 4 * stride) {
    let a = 0;
    let b = 0;
    let c = 0;
    let d = 0;
    for (let i = 0; i < depth; i += 1) {
      const x = input[i];
      a += weight[begin + i] * x;
      b += weight[begin + stride + i] * x;
      c += weight[begin + 2 * stride + i] * x;
      d += weight[begin + 3 * stride + i] * x;
    }
    sums[o] += a;
    sums[o + 1] += b;
    sums[o + 2] += c;
    sums[o + 3] += d;
  }
  for (; o < out; o += 1, begin += stride) {
    let sum = 0;
    for (let i = 0; i < depth; i += 1) sum += weight[begin + i] * input[i];
    sums[o] += sum;
  }
}
