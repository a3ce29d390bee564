//! tokio-tungstenite, as its example shows it: an echo, on any path.

use std::io;

use futures_util::{StreamExt as _, TryStreamExt as _, future};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite;

pub(super) async fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        // An error ends this connection alone: its client has left.
        tokio::spawn(async move { _ = echo(socket).await });
    }
}

/// `forward` flushes when no message is there to read, so it joins the echoes.
async fn echo(socket: TcpStream) -> Result<(), tungstenite::Error> {
    let (write, read) = tokio_tungstenite::accept_async(socket).await?.split();
    read.try_filter(|message| future::ready(message.is_text() || message.is_binary())).forward(write).await
}
