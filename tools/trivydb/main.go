// Trivydb writes a vulnerability database that Trivy reads (schema 2) from a file of entries, and says what one holds.
//
//	trivydb FOLDER ENTRIES
//	trivydb list FOLDER
//
// Each line is one entry: {"path": ["pip::source", "django"], "key": "CVE-2019-19844", "value": {...}}. The path names
// nested buckets. FOLDER gets trivy.db; who calls it writes metadata.json, which makes the database complete.
//
// list prints {"buckets": {"debian 12": 7, ...}}: the keys directly below each top-level bucket.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
)

type entry struct {
	Path  []string        `json:"path"`
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
}

func put(tx *bolt.Tx, e entry) error {
	if len(e.Path) == 0 || e.Key == "" || len(e.Value) == 0 {
		return errors.New("an entry needs path, key and value")
	}
	bucket, err := tx.CreateBucketIfNotExists([]byte(e.Path[0]))
	for _, name := range e.Path[1:] {
		if err != nil {
			break
		}
		bucket, err = bucket.CreateBucketIfNotExists([]byte(name))
	}
	if err != nil {
		return err
	}
	return bucket.Put([]byte(e.Key), e.Value)
}

// write returns the number of entries; none is an error, because Trivy finds nothing in an empty database.
func write(folder string, in io.Reader) (int, error) {
	db, err := bolt.Open(filepath.Join(folder, "trivy.db"), 0o644, &bolt.Options{Timeout: 5 * time.Second})
	if err != nil {
		return 0, err
	}
	count := 0
	err = db.Update(func(tx *bolt.Tx) error {
		decoder := json.NewDecoder(bufio.NewReader(in))
		for ; ; count++ {
			var e entry
			if err := decoder.Decode(&e); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return fmt.Errorf("entry %d: %w", count+1, err)
			}
			if err := put(tx, e); err != nil {
				return fmt.Errorf("entry %d: %w", count+1, err)
			}
		}
	})
	if err == nil && count == 0 {
		err = errors.New("no entries")
	}
	return count, errors.Join(err, db.Close())
}

func list(folder string) (map[string]map[string]int, error) {
	file := filepath.Join(folder, "trivy.db")
	db, err := bolt.Open(file, 0o444, &bolt.Options{Timeout: 5 * time.Second, ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	buckets := map[string]int{}
	err = db.View(func(tx *bolt.Tx) error {
		return tx.ForEach(func(name []byte, bucket *bolt.Bucket) error {
			count := 0
			err := bucket.ForEach(func(_, _ []byte) error { count++; return nil })
			buckets[string(name)] = count
			return err
		})
	})
	return map[string]map[string]int{"buckets": buckets}, err
}

func writeFrom(folder, file string) (int, error) {
	entries, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer entries.Close()
	return write(folder, entries)
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: trivydb FOLDER ENTRIES | trivydb list FOLDER")
		os.Exit(2)
	}
	var answer any
	var err error
	if os.Args[1] == "list" {
		answer, err = list(os.Args[2])
	} else {
		answer, err = writeFrom(os.Args[1], os.Args[2])
	}
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(answer)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "trivydb:", err)
		os.Exit(1)
	}
}
