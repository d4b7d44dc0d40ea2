// Circular doubly linked lists: a link is two u32, the addresses of the previous and the next link. An empty list's link points to itself.
const PREVIOUS: usize = 0;
const NEXT: usize = 4;

// @ts-ignore: decorator
@inline
export function list_previous(link: usize): usize {
  return load<u32>(link, PREVIOUS);
}

// @ts-ignore: decorator
@inline
export function list_next(link: usize): usize {
  return load<u32>(link, NEXT);
}

export function list_init(list: usize): void {
  store<u32>(list, <u32>list, PREVIOUS);
  store<u32>(list, <u32>list, NEXT);
}

// @ts-ignore: decorator
@inline
export function list_empty(list: usize): bool {
  return list_next(list) == list;
}

/** Puts a link at the front. */
export function list_add(list: usize, link: usize): void {
  const first = list_next(list);
  store<u32>(link, <u32>list, PREVIOUS);
  store<u32>(link, <u32>first, NEXT);
  store<u32>(first, <u32>link, PREVIOUS);
  store<u32>(list, <u32>link, NEXT);
}

export function list_remove(link: usize): void {
  const previous = list_previous(link);
  const next = list_next(link);
  store<u32>(previous, <u32>next, NEXT);
  store<u32>(next, <u32>previous, PREVIOUS);
}

/** Takes a link out of its list and puts it at the front of `list`. */
export function list_move(list: usize, link: usize): void {
  list_remove(link);
  list_add(list, link);
}
