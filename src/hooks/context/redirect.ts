/** Where programs on sockets of a sockmap send what they got: the map's socket, as bpf_sk_redirect_map and its like left it. */
import { MAP_ID } from '../../plane/layout/map.ts';
import { WORKER_REDIRECT_FLAGS, WORKER_REDIRECT_INDEX, WORKER_REDIRECT_MAP } from '../../plane/layout/worker.ts';
import type { RunResult } from '../../runtime/handles.ts';
import type { Runtime } from '../../runtime/runtime.ts';

const SK_PASS = 1;

export function redirectedTo(runtime: Runtime, r0: number): Pick<RunResult, 'redirectMap'> {
  const view = runtime.view();
  const field = (offset: number) => view.getUint32(runtime.plane.worker + offset, true);
  const map = field(WORKER_REDIRECT_MAP);
  if (map === 0 || r0 !== SK_PASS) return {};
  return {
    redirectMap: {
      mapId: view.getUint32(map + MAP_ID, true),
      key: field(WORKER_REDIRECT_INDEX),
      flags: field(WORKER_REDIRECT_FLAGS),
    },
  };
}
