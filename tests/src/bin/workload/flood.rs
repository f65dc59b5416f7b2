//! Work that fills tables: many different calls, errors and processes.

use std::io;

use crate::{Done, options::Options, sys};

/// Every number from `--first` to `--last`, once. None of them is a call of the kernel.
pub(crate) fn invalid(options: &Options) -> Done {
    const ENOSYS: i32 = 38;
    let first: i64 = options.need("--first")?;
    let last: i64 = options.need("--last")?;
    for number in first..=last {
        let error = sys::no_call(number).err().and_then(|it| it.raw_os_error());
        if error != Some(ENOSYS) {
            return Err(format!("call {number} answered {error:?}").into());
        }
    }
    Ok(format!(
        r#"{{"calls":{calls},"errors":{calls}}}"#,
        calls = last - first + 1
    ))
}

/// Every number below `--numbers` with every errno up to `--errnos`: a filter of the process's own answers them, so none of
/// them does anything.
pub(crate) fn flood(options: &Options) -> Done {
    let numbers: i64 = options.need("--numbers")?;
    let errnos: usize = options.need("--errnos")?;
    sys::answer_marked_calls()?;
    for number in 0..numbers {
        for errno in 1..=errnos {
            let error = sys::marked_call(number, errno).err();
            if error.and_then(|it| it.raw_os_error()) != i32::try_from(errno).ok() {
                return Err(format!("the filter let call {number} through").into());
            }
        }
    }
    let calls = numbers * i64::try_from(errnos)?;
    Ok(format!(r#"{{"calls":{calls},"errors":{calls}}}"#))
}

/// `--count` processes one after the other, each of which makes one call of ioprio_get.
pub(crate) fn processes(options: &Options) -> Done {
    let count: u64 = options.need("--count")?;
    for _ in 0..count {
        let pid = sys::child(|| i32::from(sys::ioprio_get(sys::WHO_PROCESS, 0).is_err()))?;
        if sys::wait(pid, 0)? != 0 {
            return Err(io::Error::other("a child failed").into());
        }
    }
    Ok(format!(
        r#"{{"syscall":"ioprio_get","calls":{count},"errors":0}}"#
    ))
}
