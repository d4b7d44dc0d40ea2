(module
  (type (;0;) (func (param i64) (result i64)))
  (type (;1;) (func (param i64 i64 i64 i64 i64) (result i64)))
  (type (;2;) (func (param i64 i64) (result i64)))
  (import "env" "memory" (memory (;0;) 64 65536 shared))
  (import "env" "table" (table (;0;) 0 funcref))
  (import "env" "worker" (global (;0;) i32))
  (import "env" "table_base" (global (;1;) i32))
  (func $may-goto (type 2) (param i64 i64) (result i64)
    (local i32 i64)
    (local.set 2
      (i32.const 8388608))
    (local.set 3
      (i64.const 0))
    (loop  ;; label = @1
      (block  ;; label = @2
        (i32.eqz
          (local.get 2))
        (local.set 2
          (i32.sub
            (local.get 2)
            (i32.ne
              (local.get 2)
              (i32.const 0))))
        (br_if 0 (;@2;))
        (local.set 3
          (i64.add
            (local.get 3)
            (i64.const 1)))
        (i32.eqz
          (local.get 2))
        (local.set 2
          (i32.sub
            (local.get 2)
            (i32.ne
              (local.get 2)
              (i32.const 0))))
        (br_if 0 (;@2;))
        (local.set 3
          (i64.add
            (local.get 3)
            (i64.const 1)))
        (i32.eqz
          (local.get 2))
        (local.set 2
          (i32.sub
            (local.get 2)
            (i32.ne
              (local.get 2)
              (i32.const 0))))
        (br_if 0 (;@2;))
        (local.set 3
          (i64.add
            (local.get 3)
            (i64.const 1)))
        (i32.eqz
          (local.get 2))
        (local.set 2
          (i32.sub
            (local.get 2)
            (i32.ne
              (local.get 2)
              (i32.const 0))))
        (br_if 0 (;@2;))
        (local.set 3
          (i64.add
            (local.get 3)
            (i64.const 1)))
        (i32.eqz
          (local.get 2))
        (local.set 2
          (i32.sub
            (local.get 2)
            (i32.ne
              (local.get 2)
              (i32.const 0))))
        (br_if 0 (;@2;))
        (local.set 3
          (i64.add
            (local.get 3)
            (i64.const 1)))
        (i32.eqz
          (local.get 2))
        (local.set 2
          (i32.sub
            (local.get 2)
            (i32.ne
              (local.get 2)
              (i32.const 0))))
        (br_if 0 (;@2;))
        (local.set 3
          (i64.add
            (local.get 3)
            (i64.const 1)))
        (i32.eqz
          (local.get 2))
        (local.set 2
          (i32.sub
            (local.get 2)
            (i32.ne
              (local.get 2)
              (i32.const 0))))
        (br_if 0 (;@2;))
        (local.set 3
          (i64.add
            (local.get 3)
            (i64.const 1)))
        (i32.eqz
          (local.get 2))
        (local.set 2
          (i32.sub
            (local.get 2)
            (i32.ne
              (local.get 2)
              (i32.const 0))))
        (br_if 0 (;@2;))
        (local.set 3
          (i64.add
            (local.get 3)
            (i64.const 1)))
        (br 1 (;@1;)))
      (return
        (local.get 3)))
    (unreachable))
  (export "may-goto" (func 0))
  (export "may-goto:tail" (func 0))
  (elem (;0;) (global.get 1) func 0 0))
