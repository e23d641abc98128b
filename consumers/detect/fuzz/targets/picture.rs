//! Everything that is done with a picture file before a model sees it, and what is read of its origin.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trustcard_detect::{
    Registry, appearance, header::PictureLimits, preprocess, preprocess::Preprocessor, provenance,
};

/// Longest side of the copy in which text and faces are looked for.
const WORKING_SIDE: u32 = 1280;

thread_local! {
    static INPUT: std::cell::RefCell<Preprocessor> = std::cell::RefCell::new(Preprocessor::new(
        &Registry::load(None).expect("the registry").models[0].input,
    ));
}

fuzz_target!(|file: &[u8]| {
    let limits = PictureLimits::default();
    provenance::read(file);
    if let Ok((picture, orientation)) = preprocess::open(file, &limits) {
        let _ = appearance::of(&picture, orientation);
        let _ = preprocess::working_copy(&picture, orientation, WORKING_SIDE);
        let _ = INPUT.with_borrow_mut(|input| input.tensor(&picture, orientation));
    }
});
