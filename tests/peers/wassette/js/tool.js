// The tools that the hosts are measured with, as an author writes them for wassette in JavaScript.

export const echo = (text) => text;

export const big = (bytes) => 'x'.repeat(bytes);

export function spin() {
  for (;;);
}
