//! recvmmsg(2).

use std::ffi::{c_int, c_uint, c_void};
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::null_mut;

/// struct msghdr.
#[repr(C)]
struct Header {
    name: *mut c_void,
    name_length: c_uint,
    buffers: *mut c_void,
    buffers_length: usize,
    control: *mut c_void,
    control_length: usize,
    flags: c_int,
}

/// struct mmsghdr.
#[repr(C)]
struct Message {
    header: Header,
    /// What the kernel filled in.
    length: c_uint,
}

unsafe extern "C" {
    fn recvmmsg(
        socket: c_int,
        messages: *mut Message,
        number: c_uint,
        flags: c_int,
        timeout: *mut c_void,
    ) -> c_int;
}

/// Fills one buffer after the other with what is there, and says how far each was filled.
pub(crate) fn receive_messages(
    socket: BorrowedFd<'_>,
    buffers: &mut [IoSliceMut<'_>],
) -> Vec<usize> {
    let message = |buffer: &mut IoSliceMut<'_>| Message {
        header: Header {
            name: null_mut(),
            name_length: 0,
            // An IoSliceMut is a struct iovec.
            buffers: std::ptr::from_mut(buffer).cast(),
            buffers_length: 1,
            control: null_mut(),
            control_length: 0,
            flags: 0,
        },
        length: 0,
    };
    let mut messages: Vec<Message> = buffers.iter_mut().map(message).collect();
    // SAFETY: each message has one buffer that lives until the call is over; nothing else is asked.
    let number = unsafe {
        recvmmsg(
            socket.as_raw_fd(),
            messages.as_mut_ptr(),
            messages.len() as c_uint,
            MSG_DONTWAIT,
            null_mut(),
        )
    };
    let number = usize::try_from(number).expect("there is something to receive");
    messages.iter().take(number).map(|message| message.length as usize).collect()
}

const MSG_DONTWAIT: c_int = 0x40;
