import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { keepAfter, parityPage, withKept } from './parity-page.ts';

it('docs/parity.md is what `node scripts/parity.mjs` writes', () => {
  const there = readFileSync(new URL('../docs/parity.md', import.meta.url), 'utf8');
  expect(there.split('\n')).toEqual(withKept(parityPage(), there).split('\n'));
});

it('keeps what other scripts append', () => {
  expect(withKept(`a\n${keepAfter}\n`, `b\n${keepAfter}\nc\n`)).toBe(`a\n${keepAfter}\nc\n`);
  expect(withKept(`a\n${keepAfter}\n`, '')).toBe(`a\n${keepAfter}\n`);
});
