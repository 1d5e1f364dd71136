package simulator

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// stateFormat is the format that this code writes and the only one it reads.
const stateFormat = 1

// State is a phone as it is kept in a file. It holds private keys.
type State struct {
	Format       int    `json:"watchword_phone"`
	Server       string `json:"server"`
	Client       string `json:"client_id"`
	Email        string `json:"email"`
	DeviceName   string `json:"device_name"`
	DeviceID     string `json:"device_id"`
	DeviceKeyID  string `json:"device_key_id"`
	PushToken    string `json:"push_token"`
	DeviceKey    string `json:"device_key"`    // base64 of PKCS#8, RSA
	BiometricKey string `json:"biometric_key"` // base64 of PKCS#8, EC P-256
	PublicKeyID  string `json:"publicKeyId"`   // of the biometric key

	Tokens []Token      `json:"totp,omitempty"`   // of the authenticator app
	Cidaas *CidaasState `json:"cidaas,omitempty"` // the same phone at the other door
}

// ErrNoPhone is returned by Load when there is no file.
var ErrNoPhone = errors.New("no phone is registered in this file")

// State returns all that is needed to make the phone again.
func (p *Phone) State() (State, error) {
	device, err := x509.MarshalPKCS8PrivateKey(p.o.Keys.Device)
	if err != nil {
		return State{}, fmt.Errorf("encoding the device key: %w", err)
	}
	biometric, err := x509.MarshalPKCS8PrivateKey(p.o.Keys.Biometric)
	if err != nil {
		return State{}, fmt.Errorf("encoding the biometric key: %w", err)
	}
	bioID, _, err := keyID(&p.o.Keys.Biometric.PublicKey)
	if err != nil {
		return State{}, err
	}
	return State{
		Format: stateFormat, Server: p.server, Client: p.o.Client, Email: p.o.Email, DeviceName: p.o.DeviceName, DeviceID: p.deviceID,
		DeviceKeyID: p.keyID, PushToken: p.pushToken, PublicKeyID: bioID,
		DeviceKey: base64.StdEncoding.EncodeToString(device), BiometricKey: base64.StdEncoding.EncodeToString(biometric),
	}, nil
}

// Save writes the phone to a file that only its owner may read (0600), beside
// the authenticator entries that stand there. A reader sees the old file or the
// new one, never a part.
func (p *Phone) Save(path string) error {
	s, err := p.State()
	if err != nil {
		return err
	}
	kept, err := readState(path)
	if err != nil {
		return err
	}
	s.Tokens, s.Cidaas = kept.Tokens, kept.Cidaas
	return s.write(path)
}

func (s State) write(path string) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the state: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // 0600
	if err != nil {
		return fmt.Errorf("saving the phone: %w", err)
	}
	defer os.Remove(f.Name()) // nothing is there any more once it was renamed
	_, err = f.Write(append(text, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("saving the phone: %w", err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("saving the phone: %w", err)
	}
	return nil
}

// Load makes the phone again that was saved to a file. What o names must be what
// the file says; what o leaves empty comes from the file. ErrNoPhone if there is
// no file; an error if it is not a phone's, or not that phone's.
func Load(path string, o Options) (*Phone, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", path, ErrNoPhone)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the phone: %w", err)
	}
	p, err := parseState(text, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

func parseState(text []byte, o Options) (*Phone, error) {
	s, err := decodeState(text)
	if err != nil {
		return nil, err
	}
	if s.DeviceKey == "" {
		return nil, ErrNoPhone
	}
	if err := s.fill(&o); err != nil {
		return nil, err
	}
	if o.Keys, err = s.keys(); err != nil {
		return nil, err
	}
	p, err := newPhone(o, s.PushToken, s.DeviceID)
	if err != nil {
		return nil, err
	}
	if p.keyID != s.DeviceKeyID {
		return nil, errors.New("the device key is not the one that the file names")
	}
	return p, nil
}

// fill takes from the file what o leaves open and refuses what contradicts it.
func (s State) fill(o *Options) error {
	if o.Server != "" {
		var err error
		if o.Server, err = base(o.Server); err != nil {
			return err
		}
	}
	for _, f := range []struct {
		name  string
		given *string
		kept  string
	}{{"server", &o.Server, s.Server}, {"client", &o.Client, s.Client}, {"e-mail address", &o.Email, s.Email}} {
		if *f.given != "" && *f.given != f.kept {
			return fmt.Errorf("this phone belongs to the %s %s, not %s", f.name, f.kept, *f.given)
		}
		*f.given = f.kept
	}
	if o.DeviceName == "" {
		o.DeviceName = s.DeviceName
	}
	return nil
}

func (s State) keys() (*Keys, error) {
	device, err := privateKey[*rsa.PrivateKey](s.DeviceKey)
	if err != nil {
		return nil, fmt.Errorf("device key: %w", err)
	}
	biometric, err := privateKey[*ecdsa.PrivateKey](s.BiometricKey)
	if err != nil {
		return nil, fmt.Errorf("biometric key: %w", err)
	}
	return &Keys{device, biometric}, nil
}

// privateKey reads a key of one kind; its errors never hold any of the key.
func privateKey[K any](text string) (K, error) {
	var none K
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return none, errors.New("not base64")
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return none, errors.New("not PKCS#8")
	}
	out, ok := key.(K)
	if !ok {
		return none, errors.New("a key of another kind")
	}
	return out, nil
}
