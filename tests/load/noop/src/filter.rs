//! The contexts of the filter.

use std::rc::Rc;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, ContextType, MapType};

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}}

#[derive(Default)]
struct Root {
    told: Rc<str>,
}

struct Exchange {
    told: Rc<str>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, _size: usize) -> bool {
        let bytes = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, usize::MAX).ok().flatten();
        self.told = String::from_utf8_lossy(&bytes.unwrap_or_default()).into();
        true
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Exchange { told: Rc::clone(&self.told) }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Context for Exchange {}

impl HttpContext for Exchange {
    fn on_http_response_headers(&mut self, _count: usize, _ends: bool) -> Action {
        if !self.told.is_empty() {
            // A header that the host does not take shows as one that is missing.
            let _ = hostcalls::add_map_value(MapType::HttpResponseHeaders, "x-noop", &self.told);
        }
        Action::Continue
    }
}
