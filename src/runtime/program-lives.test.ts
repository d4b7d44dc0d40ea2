import { expect, it } from 'vitest';
import { CallbackHolds } from './callback-holds.ts';
import { createMemory } from './memory.ts';
import { createPlane } from './plane.ts';
import { ProgramLives } from './program-lives.ts';

it('programs stay while their object is open or something holds one of them', () => {
  const lives = new ProgramLives(new CallbackHolds(createPlane(createMemory(1, 1n))));
  const ended: number[] = [];
  const close10 = lives.add(10, 4, [], () => ended.push(10));
  const close20 = lives.add(20, 2, [], () => ended.push(20));
  expect([lives.hold(13), lives.hold(14), lives.hold(20), lives.hold(20)]).toEqual([true, false, true, true]);
  close10();
  close10();
  expect(ended).toEqual([]);
  lives.release(11);
  expect(ended).toEqual([10]);
  expect(lives.hold(10)).toBe(false);
  lives.release(10);
  lives.release(21);
  close20();
  expect(ended).toEqual([10]);
  lives.release(20);
  expect(ended).toEqual([10, 20]);
});
