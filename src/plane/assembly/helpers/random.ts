// Pseudo-random numbers: splitmix64 over the worker's own state, so that a seed replays a run.
import { WORKER_RANDOM } from '../../layout/worker';
import { WORKER } from '../worker';

export function bpf_get_prandom_u32(): u64 {
  const state = load<u64>(WORKER, WORKER_RANDOM) + 0x9e3779b97f4a7c15;
  store<u64>(WORKER, state, WORKER_RANDOM);
  let z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return (z ^ (z >> 31)) & 0xffffffff;
}
