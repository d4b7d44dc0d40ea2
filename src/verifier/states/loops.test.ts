// What is learnt late in a loop counts for the rounds before: the state that a round came back to had not known it.
import { expect, it } from 'vitest';
import { judge, type Short } from '../testbed.ts';

/** One round of the loop changes r7, another reads the stack at where `add` leads; which one comes is not known. */
const loop = (add: Short): readonly Short[] => [
  [0xb7, 7, 0, 0, -16],
  [0x85, 0, 0, 0, 7],
  [0xbf, 6, 0],
  [0xe5, 0, 0, 9],
  [0x15, 6, 0, 4, 42],
  [0xb7, 7, 0, 0, -520],
  [0x85, 0, 0, 0, 7],
  [0xbf, 6, 0],
  [0x05, 0, 0, -6],
  [0xbf, 0, 10],
  add,
  [0x71, 8, 0],
  [0x05, 0, 0, -10],
  [0xb7, 0, 0, 0, 0],
  [0x95],
];

it('a value that a later round relies on is not lost', () =>
  expect(judge(loop([0x0f, 0, 7]))).toBe(
    'reject 10: math between fp pointer and register with unbounded min value is not allowed',
  ));
it('rounds that are alike end the loop', () => expect(judge(loop([0x07, 0, 0, 0, -16]))).toBe('accept'));
it('a loop that nothing changes in is refused', () =>
  expect(judge([[0xb7, 0, 0, 0, 0], [0x05, 0, 0, -1], [0x95]])).toMatch(/^reject .*(infinite loop|unreachable)/));
