(module
  (type (;0;) (func (param i64) (result i64)))
  (type (;1;) (func (param i64 i64 i64 i64 i64) (result i64)))
  (import "env" "memory" (memory (;0;) 64 65536 shared))
  (import "env" "table" (table (;0;) 0 funcref))
  (import "env" "worker" (global (;0;) i32))
  (import "env" "table_base" (global (;1;) i32))
  (func $array-counter (type 0) (param i64) (result i64)
    (local i32 i32 i32 i32 i32)
    (local.set 1
      (i32.wrap_i64
        (local.get 0)))
    (block  ;; label = @1
      (local.set 2
        (i32.load offset=16 align=1
          (local.get 1)))
      (local.set 3
        (local.get 2))
      (local.set 5
        (i32.add
          (i32.const 4587520)
          (i32.mul
            (local.tee 4
              (local.get 3))
            (i32.const 8))))
      (br_if 0 (;@1;)
        (i32.ge_u
          (local.get 4)
          (i32.const 256)))
      (drop
        (i64.atomic.rmw.add
          (local.get 5)
          (i64.const 1)))
      (br 0 (;@1;)))
    (return
      (i64.const 2))
    (unreachable))
  (export "array-counter" (func 0))
  (export "array-counter:tail" (func 0))
  (elem (;0;) (global.get 1) func 0 0))
