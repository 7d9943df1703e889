package corral

import (
	"context"
	"io"
	"iter"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

const maxAttempts, firstBackoff = 4, 100 * time.Millisecond // which doubles with each attempt

// Each makes a call that answers with a stream, each time it is ranged over:
//
//	for event, err := range corral.Each(ctx, client.Inference.GenerateStream, request) {
//		fmt.Print(event.GetDelta().GetText())
//
// An error comes last, alone; what came before it stays valid. Leaving the loop cancels the call,
// as the end of ctx does. Getters read as nothing what is absent, or newer than this client.
func Each[Request, Response any](
	ctx context.Context,
	call func(context.Context, *Request, ...grpc.CallOption) (grpc.ServerStreamingClient[Response], error),
	request *Request, options ...grpc.CallOption,
) iter.Seq2[*Response, error] {
	return func(yield func(*Response, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		err := retry(ctx, func() (begun bool, err error) {
			messages, err := call(ctx, request, options...)
			for err == nil {
				var message *Response
				if message, err = messages.Recv(); err == nil {
					if begun = true; !yield(message, nil) {
						return begun, nil
					}
				}
			}
			return begun, err
		})
		if err != nil {
			yield(nil, err)
		}
	}
}

func retryUnary(
	ctx context.Context, method string, request, reply any, connection *grpc.ClientConn,
	invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	return retry(ctx, func() (bool, error) {
		return false, invoke(ctx, method, request, reply, connection, options...)
	})
}

// retry makes attempts until one succeeds or fails for good; begun says whether a message came.
func retry(ctx context.Context, attempt func() (begun bool, err error)) error {
	for attempts := 1; ; attempts++ {
		begun, err := attempt()
		if err == nil || err == io.EOF {
			return nil
		}
		failure := parse(err)
		if begun || attempts == maxAttempts || !again(ctx, failure, attempts) {
			return failure
		}
	}
}

// again waits as long as the server asks for, where it did nothing with the call and the deadline
// allows; the Hub is unavailable for longer. A context that ends meanwhile ends the next attempt.
func again(ctx context.Context, failure *Error, attempts int) bool {
	if failure.Code != codes.Unavailable || failure.Reason == "HUB_UNAVAILABLE" {
		return false
	}
	pause := failure.RetryDelay
	if backoff := firstBackoff << (attempts - 1); pause == 0 {
		pause = backoff/2 + rand.N(backoff)
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= pause {
		return false
	}
	select {
	case <-time.After(pause):
	case <-ctx.Done():
	}
	return true
}
