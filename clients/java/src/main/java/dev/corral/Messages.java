package dev.corral;

import io.grpc.*;
import java.util.*;
import java.util.function.Supplier;

/**
 * The messages of one call, read once, by one thread; the first that is asked for makes the call.
 * What came before a failure stays valid. Closing cancels the call, from any thread.
 */
public final class Messages<T> implements Iterator<T>, Iterable<T>, AutoCloseable {
    private final Context.CancellableContext context = Context.current().withCancellation();
    private final Deadline deadline;
    private final Supplier<Iterator<T>> call;
    private Iterator<T> received;
    private boolean begun;

    Messages(Deadline deadline, Supplier<Iterator<T>> call) {
        this.deadline = deadline;
        this.call = call;
    }

    @Override
    public boolean hasNext() {
        if (begun) {
            return Corral.attempt(1, deadline, received::hasNext);
        }
        var hasFirst = Corral.attempt(4, deadline, () -> {
            context.run(() -> received = call.get());
            return received.hasNext();
        });
        begun = true;
        return hasFirst;
    }

    @Override
    public T next() {
        if (!hasNext()) {
            throw new NoSuchElementException();
        }
        return received.next();
    }

    @Override
    public Iterator<T> iterator() {
        return this;
    }

    @Override
    public void close() {
        context.cancel(null);
    }
}
