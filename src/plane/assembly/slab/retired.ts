// What waits for an epoch besides objects of slabs: the end of each, when no run can hold it any more. Each was taken out of reach before it began to wait.
import { queue_close } from '../cpus/map-queue';
import { element_end } from '../maps/storage';
import { map_end } from '../maps/registry';
import { giveSmall } from '../kfuncs/pool';
import { object_end } from '../objects';
import { WORKER } from '../worker';
import { WORKER_RECLAIMED } from '../../layout/worker';
import { WAITS_BLOCK, WAITS_MAP, WAITS_MODELLED, WAITS_QUEUE } from '../../layout/allocator';

export function retired_end(address: usize, kind: u32): void {
  // An end has several steps: from here on none is taken twice.
  store<u32>(WORKER, 0, WORKER_RECLAIMED);
  if (kind == WAITS_MAP) map_end(address);
  else if (kind == WAITS_MODELLED) object_end(address);
  else if (kind == WAITS_BLOCK) giveSmall(address);
  else if (kind == WAITS_QUEUE) queue_close(address);
  else element_end(address);
}
