/** Where a frame goes after XDP_REDIRECT, as its descriptor keeps it. */
import {
  FRAME_REDIRECT_FLAGS,
  FRAME_REDIRECT_INDEX,
  FRAME_REDIRECT_MAP,
  FRAME_VERDICT,
} from '../../plane/layout/frame.ts';
import { MAP_ID } from '../../plane/layout/map.ts';
import type { RunResult } from '../../runtime/handles.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { FramePool } from './frames.ts';

const XDP_REDIRECT = 4;

/** Id of the map at an address, undefined for 0. */
export function mapIdAt(runtime: Runtime, address: number): number | undefined {
  return address === 0 ? undefined : runtime.view().getUint32(address + MAP_ID, true);
}

/** Nothing where the verdict is another, or names no target. */
export function redirectOf(
  runtime: Runtime,
  pool: FramePool,
  frame: number,
): Pick<RunResult, 'redirect' | 'redirectMap'> {
  if (pool.field(frame, FRAME_VERDICT) !== XDP_REDIRECT) return {};
  const mapId = mapIdAt(runtime, pool.field(frame, FRAME_REDIRECT_MAP));
  const index = pool.field(frame, FRAME_REDIRECT_INDEX);
  if (mapId !== undefined)
    return { redirectMap: { mapId, key: index, flags: pool.field(frame, FRAME_REDIRECT_FLAGS) } };
  return index === 0 ? {} : { redirect: { ifindex: index, to: 'egress' } };
}
