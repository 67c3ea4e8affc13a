// centrifuge: sockets at /ws/I, subscribed to "all" and "one-I"; POST /all publishes its body to each, POST /one/I to one.
//
// All is as it is by default, but for memory: buffers of idle sockets as small as they can be. A frame holds up to four messages that
// wait for the same client, a line each.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/centrifugal/centrifuge"
)

func main() {
	node, err := centrifuge.New(centrifuge.DefaultConfig)
	if err != nil {
		log.Fatal(err)
	}
	node.OnConnecting(func(ctx context.Context, _ centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		who, _ := centrifuge.GetCredentials(ctx)
		subscriptions := map[string]centrifuge.SubscribeOptions{"all": {}, "one-" + who.UserID: {}}
		return centrifuge.ConnectReply{Subscriptions: subscriptions}, nil
	})
	if err := node.Run(); err != nil {
		log.Fatal(err)
	}

	sockets := centrifuge.NewWebsocketHandler(node, centrifuge.WebsocketConfig{
		ReadBufferSize:     512,
		UseWriteBufferPool: true,
		// No pings while it is measured, and nobody is sent away by a crowd of clients on another core that comes late.
		PingInterval: time.Hour,
		WriteTimeout: time.Minute,
	})
	http.HandleFunc("/ws/", func(w http.ResponseWriter, r *http.Request) {
		who := &centrifuge.Credentials{UserID: strings.TrimPrefix(r.URL.Path, "/ws/")}
		sockets.ServeHTTP(w, r.WithContext(centrifuge.SetCredentials(r.Context(), who)))
	})
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			return // who has left is forgotten already
		}
		body, err := io.ReadAll(r.Body)
		if err == nil {
			body, err = json.Marshal(string(body))
		}
		if err == nil {
			_, err = node.Publish(strings.ReplaceAll(r.URL.Path[1:], "/", "-"), body)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}
