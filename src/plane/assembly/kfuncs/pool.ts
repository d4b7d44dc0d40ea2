// Blocks of two sizes for what kfuncs allocate. Pages that became blocks stay so. A free block begins with the address of the next.
import { POOL_LARGE, POOL_SMALL, ROOT, ROOT_POOL_LARGE, ROOT_POOL_LOCK, ROOT_POOL_SMALL, WASM_PAGE } from '../../layout/memory';
import { word_lock, word_unlock } from '../locks/word';
import { pages_alloc } from '../pages';

@inline function lock(): void {
  word_lock(ROOT + ROOT_POOL_LOCK);
}

@inline function unlock(): void {
  word_unlock(ROOT + ROOT_POOL_LOCK);
}

function take(head: usize, size: u32): usize {
  lock();
  let block = <usize>load<u32>(head);
  if (block == 0) {
    const page = pages_alloc(1);
    if (page == 0) {
      unlock();
      return 0;
    }
    for (let at = page + WASM_PAGE - size; at >= page; at -= size) {
      store<u32>(at, <u32>block);
      block = at;
    }
  }
  store<u32>(head, load<u32>(block));
  unlock();
  memory.fill(block, 0, <usize>size);
  return block;
}

function give(head: usize, block: usize): void {
  lock();
  store<u32>(block, load<u32>(head));
  store<u32>(head, <u32>block);
  unlock();
}

/** 64 zeroed bytes, aligned to 64; 0: no memory. */
export function takeSmall(): usize {
  return take(ROOT + ROOT_POOL_SMALL, POOL_SMALL);
}

export function giveSmall(block: usize): void {
  give(ROOT + ROOT_POOL_SMALL, block);
}

/** 4096 zeroed bytes. */
export function takeLarge(): usize {
  return take(ROOT + ROOT_POOL_LARGE, POOL_LARGE);
}

export function giveLarge(block: usize): void {
  give(ROOT + ROOT_POOL_LARGE, block);
}
