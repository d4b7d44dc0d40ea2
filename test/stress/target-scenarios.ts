/** Maps of redirect targets and of sockets, which user space changes while programs look them up and redirect. */
import type { MapTypeName } from '../../src/abi/map-types.ts';
import { BPF_SOCK_PROTOCOL, BPF_SOCK_STATE, OBJECT_SOCKET, SOCKET_REUSEPORT } from '../../src/plane/layout/object.ts';
import { WORKER_REDIRECT_INDEX } from '../../src/plane/layout/worker.ts';
import { workerAddress } from '../../src/runtime/memory.ts';
import { call, grow, type Scenario, same } from './scenario.ts';
import { stress, stressFactor, withSeed } from './stress.ts';
import type { StressWorker } from './workers.ts';

/** Elements are a number that says its key, and one that follows from it, the target's program. Key 0 is only replaced. */
function pairsBody({ call, view, map, scratch, rounds, random, pause }: StressWorker) {
  const [value, out] = [scratch + 64, scratch + 128];
  for (let i = 0; i < rounds; i++) {
    const key = random(3);
    const number = 1 + key + 3 * random(60);
    view.setUint32(scratch, key, true);
    const what = random(5);
    if (what < 2) {
      view.setUint32(value, number, true);
      view.setUint32(value + 4, number + 1000, true);
      const refused = call('map_update_user', map, scratch, value, 0);
      if (refused !== 0) throw new Error(`update: ${refused}`);
    } else if (what === 2) {
      if (key !== 0) call('map_delete_user', map, scratch);
    } else if (what === 3) {
      const result = call('map_lookup_user', map, scratch, out, 0);
      if (result === -2 && key === 0) throw new Error('an element that is only replaced is not found');
      const [first, second] = [view.getUint32(out, true), view.getUint32(out + 4, true)];
      if (result === 0 && ((first + 2) % 3 !== key || second !== first + 1000))
        throw new Error(`element ${key} is one that nobody wrote: ${first}, ${second}`);
    } else {
      call('epoch_enter');
      const result = call('bpf_redirect_map', BigInt(map), BigInt(key), 2n);
      call('epoch_exit');
      if (result !== 4 && (result !== 2 || key === 0)) throw new Error(`redirect: ${result}`);
    }
    pause();
  }
}

function pairs(type: MapTypeName, workers: number): Scenario {
  return {
    name: `${type}: a target is what was written at one moment`,
    async run(variant) {
      await stress({
        ...variant,
        map: { type, keySize: 4, valueSize: 8, maxEntries: 4 },
        workers,
        rounds: 3000,
        before(map, plane) {
          const at = call(plane, 'pages_alloc', 1);
          plane.view().setBigUint64(at + 8, (1001n << 32n) | 1n, true);
          same('update', call(plane, 'map_update_user', map.address, at, at + 8, 0), 0);
        },
        body: pairsBody,
      });
    },
  };
}

/** CPU 1 puts sockets into the map and takes them out; a program that has found one goes on reading the queue of a socket. */
function queuesBody({ call, view, map, scratch, cpu, rounds, random, pause }: StressWorker) {
  for (let i = 0; i < rounds; i++) {
    view.setUint32(scratch, random(2), true);
    if (cpu === 1) {
      view.setUint32(scratch + 64, 1000 + i, true);
      if (random(2)) call('map_update_user', map, scratch, scratch + 64, 0);
      else call('map_delete_user', map, scratch);
      pause();
      continue;
    }
    call('epoch_enter');
    const socket = call('bpf_map_lookup_elem', BigInt(map), BigInt(scratch));
    for (let again = 0; socket !== 0 && again < 4; again++) {
      if (view.getUint32(socket, true) < 1000) throw new Error('the queue of a socket that was found is gone');
      pause();
    }
    call('epoch_exit');
  }
}

const queues = (workers: number): Scenario => ({
  name: 'xskmap: a socket that was found has its queue',
  async run(variant) {
    await stress({
      ...variant,
      map: { type: 'xskmap', keySize: 4, valueSize: 4, maxEntries: 2 },
      workers,
      rounds: 3000,
      body: queuesBody,
    });
  },
});

/** Of those that all say to be new, one is. */
function newBody({ call, view, map, scratch, cpu, rounds, meet, parameters }: StressWorker<readonly number[]>) {
  view.setUint32(scratch, 0, true);
  view.setUint32(scratch + 32, parameters[cpu - 1]!, true);
  let won = 0;
  for (let i = 0; i < rounds; i++) {
    meet();
    const result = call('map_update_user', map, scratch, scratch + 32, 1);
    if (result === 0) won++;
    else if (result !== -17) throw new Error(`update: ${result}`);
    meet();
    if (cpu === 1 && call('map_delete_user', map, scratch) !== 0) throw new Error('nothing to take out');
  }
  return won;
}

function onlyOne(type: 'xskmap' | 'reuseport_sockarray' | 'sockmap', workers: number): Scenario {
  return {
    name: `${type}: of several that are written as new one is`,
    async run(variant) {
      const parameters: number[] = [];
      const { results, seed } = await stress({
        ...variant,
        map: { type, keySize: 4, valueSize: 4, maxEntries: 2 },
        workers,
        rounds: 500,
        parameters,
        before(_, plane) {
          const view = plane.view();
          for (let i = 0; i < workers; i++) {
            if (type === 'xskmap') {
              parameters.push(i + 1);
              continue;
            }
            const socket = call(plane, 'object_create', OBJECT_SOCKET);
            view.setUint32(socket + BPF_SOCK_PROTOCOL, 17, true);
            view.setUint32(socket + BPF_SOCK_STATE, 7, true);
            view.setUint32(socket + SOCKET_REUSEPORT, 1, true);
            parameters.push(call(plane, 'object_id', socket));
          }
        },
        body: newBody,
      });
      const won = results.reduce((sum, each) => sum + each, 0);
      await withSeed(seed, () => same('updates that were new', won, Math.ceil(500 * stressFactor)));
    },
  };
}

/** CPU 1 puts a socket in and takes it out; who redirects there is let through with a socket, or not at all. */
function redirectBody({ call, view, map, scratch, cpu, rounds, pause, parameters }: StressWorker<readonly number[]>) {
  const [socket, id, workers, stride, indexAt] = parameters as [number, number, number, number, number];
  view.setUint32(scratch, 7, true);
  view.setUint32(scratch + 32, id, true);
  let passed = 0;
  for (let i = 0; i < rounds; i++) {
    if (cpu === 1) {
      if (i % 2 === 0) call('map_update_user', map, scratch, scratch + 32, 0);
      else call('map_delete_user', map, scratch);
    } else {
      call('epoch_enter');
      if (call('bpf_sk_redirect_hash', 0n, BigInt(map), BigInt(scratch), 0n) === 1) {
        passed++;
        const target = view.getUint32(workers + cpu * stride + indexAt, true);
        if (target !== socket) throw new Error(`a redirect to the socket at ${target}, and not at ${socket}`);
      }
      call('epoch_exit');
    }
    pause();
  }
  return passed;
}

const redirect = (workers: number): Scenario => ({
  name: 'sockhash: a redirect that passes has a socket',
  async run(variant) {
    const parameters: number[] = [];
    await stress({
      ...variant,
      map: { type: 'sockhash', keySize: 4, valueSize: 4, maxEntries: 2 },
      workers,
      rounds: 3000,
      parameters,
      before(_, plane) {
        grow(plane, 100);
        const socket = call(plane, 'object_create', OBJECT_SOCKET);
        plane.view().setUint32(socket + BPF_SOCK_PROTOCOL, 17, true);
        parameters.push(socket, call(plane, 'object_id', socket));
        parameters.push(workerAddress(0), workerAddress(1) - workerAddress(0), WORKER_REDIRECT_INDEX);
      },
      body: redirectBody,
    });
  },
});

/** With so many CPUs. */
export const targetScenariosOf = (workers: number): readonly Scenario[] => [
  pairs('devmap', workers),
  pairs('devmap_hash', workers),
  pairs('cpumap', workers),
  queues(workers),
  onlyOne('xskmap', workers),
  onlyOne('reuseport_sockarray', workers),
  onlyOne('sockmap', workers),
  redirect(workers),
];

export const targetScenarios = targetScenariosOf(3);
