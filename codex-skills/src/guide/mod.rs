#![doc = include_str!("links.md")]
#![doc = ""]
#![doc = include_str!("../../docs/guide/README.md")]

/// A chapter, whose text is a file that reads as well outside of this documentation: its links to other chapters are references,
/// which it defines as paths. The first definition of a reference counts, so that here they are modules.
macro_rules! chapter {
    ($name:ident) => {
        #[doc = include_str!("links.md")]
        #[doc = ""]
        #[doc = include_str!(concat!("../../docs/guide/", stringify!($name), ".md"))]
        pub mod $name {}
    };
}

chapter!(skills);
chapter!(sessions);
chapter!(testing);
chapter!(embedded);
chapter!(app_server);
chapter!(manager);
chapter!(limits);
chapter!(security);
chapter!(logs);
chapter!(from_python);
chapter!(compare);
chapter!(platforms);
