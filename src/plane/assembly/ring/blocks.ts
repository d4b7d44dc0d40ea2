// Small memory of a ring: blocks of 256 << n bytes cut from pages of its own, which go when the ring goes. Larger ones are pages.
import { RING_BLOCK_PAGE, RING_BLOCK_TOP, RING_BLOCKS } from '../../layout/ring';
import { WASM_PAGE } from '../../layout/memory';
import { pages_alloc, pages_free } from '../pages';

const SMALLEST: u32 = 256;
const CLASSES: u32 = 8;
/** First word of a page: the page before. Blocks begin behind it, aligned to the smallest. */
const PAGE_BLOCKS: u32 = 256;

function classOf(bytes: u32): u32 {
  return bytes <= SMALLEST ? 0 : 24 - <u32>clz<u32>(bytes - 1);
}

/** Zeroed memory of at least `bytes`, 0 if there is none. */
export function takeBlock(ring: usize, bytes: u32): usize {
  const kind = classOf(bytes);
  if (kind >= CLASSES) return pages_alloc((bytes + <u32>WASM_PAGE - 1) / <u32>WASM_PAGE);
  const list = ring + RING_BLOCKS + kind * 4;
  const size = SMALLEST << kind;
  let block: usize = load<u32>(list);
  if (block != 0) {
    store<u32>(list, load<u32>(block));
  } else {
    const page: usize = load<u32>(ring, RING_BLOCK_PAGE);
    let top: usize = load<u32>(ring, RING_BLOCK_TOP);
    if (page == 0 || top + size > page + WASM_PAGE) {
      // What is left of the page before is lost until the ring goes: less than one block.
      const fresh = pages_alloc(1);
      if (fresh == 0) return 0;
      store<u32>(fresh, <u32>page);
      store<u32>(ring, <u32>fresh, RING_BLOCK_PAGE);
      top = fresh + PAGE_BLOCKS;
    }
    block = top;
    store<u32>(ring, <u32>(top + size), RING_BLOCK_TOP);
  }
  memory.fill(block, 0, size);
  return block;
}

export function giveBlock(ring: usize, block: usize, bytes: u32): void {
  const kind = classOf(bytes);
  if (kind >= CLASSES) {
    pages_free(block, (bytes + <u32>WASM_PAGE - 1) / <u32>WASM_PAGE);
    return;
  }
  const list = ring + RING_BLOCKS + kind * 4;
  store<u32>(block, load<u32>(list));
  store<u32>(list, <u32>block);
}

export function giveAllBlocks(ring: usize): void {
  let page: usize = load<u32>(ring, RING_BLOCK_PAGE);
  while (page != 0) {
    const before: usize = load<u32>(page);
    pages_free(page, 1);
    page = before;
  }
  store<u32>(ring, 0, RING_BLOCK_PAGE);
}
