// Pages: whole 64 KiB runs of the heap, first fit over a free list, growing the memory when none fits.
// One lock word in the root: callers are maps and arenas at creation, never per-event code.
import { word_lock, word_unlock } from './locks/word';
import { ROOT, ROOT_FREE_RUNS, ROOT_HEAP_TOP, ROOT_PAGE_LOCK, ROOT_SIZE_HOLDS, WASM_PAGE } from '../layout/memory';

// A free run keeps its own links in its first bytes.
const RUN_NEXT: usize = 0;
const RUN_PAGES: usize = 4;

function lock(): void {
  word_lock(ROOT + ROOT_PAGE_LOCK);
}

function unlock(): void {
  word_unlock(ROOT + ROOT_PAGE_LOCK);
}

/** Pages of the memory as it is now. */
export function memory_pages(): u32 {
  return <u32>memory.size();
}

/** First address of `count` zeroed pages in a row, 0 if the memory has no room for them. */
export function pages_alloc(count: u32): usize {
  if (count == 0 || count > 65535) return 0;
  lock();
  let link: usize = ROOT + ROOT_FREE_RUNS;
  let run: usize = load<u32>(link);
  while (run != 0) {
    const pages = load<u32>(run, RUN_PAGES);
    if (pages >= count) {
      const next = load<u32>(run, RUN_NEXT);
      if (pages == count) {
        store<u32>(link, next);
      } else {
        const rest = run + <usize>count * WASM_PAGE;
        store<u32>(rest, next, RUN_NEXT);
        store<u32>(rest, pages - count, RUN_PAGES);
        store<u32>(link, <u32>rest);
      }
      unlock();
      memory.fill(run, 0, <usize>count * WASM_PAGE);
      return run;
    }
    link = run + RUN_NEXT;
    run = load<u32>(link);
  }
  const top = load<u32>(ROOT, ROOT_HEAP_TOP);
  const need = (<u64>top + (<u64>count << 16)) >> 16;
  const have = <u64>memory.size();
  // The last page of the 4 GiB stays unused, so that an address just past a run is never 0.
  const grows = need > have;
  const held = grows && load<u32>(ROOT, ROOT_SIZE_HOLDS) != 0;
  if (need > 65535 || held || (grows && memory.grow(<i32>(need - have)) < 0)) {
    unlock();
    return 0;
  }
  store<u32>(ROOT, top + count * WASM_PAGE, ROOT_HEAP_TOP);
  unlock();
  return top;
}

/** Gives back `count` pages from `address` on; neighbours that are free are joined. */
export function pages_free(address: usize, count: u32): void {
  if (address == 0 || count == 0) return;
  lock();
  // The list is sorted by address, so that neighbours meet.
  let before: usize = 0;
  let next: usize = load<u32>(ROOT + ROOT_FREE_RUNS);
  while (next != 0 && next < address) {
    before = next;
    next = load<u32>(next, RUN_NEXT);
  }
  store<u32>(address, <u32>next, RUN_NEXT);
  store<u32>(address, count, RUN_PAGES);
  if (next != 0 && address + <usize>count * WASM_PAGE == next) {
    store<u32>(address, load<u32>(next, RUN_NEXT), RUN_NEXT);
    store<u32>(address, count + load<u32>(next, RUN_PAGES), RUN_PAGES);
  }
  if (before == 0) {
    store<u32>(ROOT + ROOT_FREE_RUNS, <u32>address);
  } else if (before + <usize>load<u32>(before, RUN_PAGES) * WASM_PAGE == address) {
    store<u32>(before, load<u32>(address, RUN_NEXT), RUN_NEXT);
    store<u32>(before, load<u32>(before, RUN_PAGES) + load<u32>(address, RUN_PAGES), RUN_PAGES);
  } else {
    store<u32>(before, <u32>address, RUN_NEXT);
  }
  unlock();
}
